// The texts of the telephone page.
import { addWords } from "./words.js";
import de from "./words/phone.de.json";
import en from "./words/phone.en.json";

addWords({ de, en });
