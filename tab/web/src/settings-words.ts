// The texts of the settings and of the help.
import { addWords } from "./words.js";
import de from "./words/settings.de.json";
import en from "./words/settings.en.json";

addWords({ de, en });
