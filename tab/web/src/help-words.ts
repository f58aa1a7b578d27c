// The texts of the help.
import { addWords } from "./words.js";
import de from "./words/help.de.json";
import en from "./words/help.en.json";

addWords({ de, en });
