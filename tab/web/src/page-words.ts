// The texts of the large pages; the first view does not need them.
import { addWords } from "./words.js";
import de from "./words/pages.de.json";
import en from "./words/pages.en.json";

addWords({ de, en });
