// The words of the telephone's page.
import { addWords } from "./words.js";
import de from "./words/phone.de.json";
import en from "./words/phone.en.json";

addWords({ de, en });
