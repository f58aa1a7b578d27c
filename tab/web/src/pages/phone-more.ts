// The parts of the telephone page other than dialling and calls, loaded while those are already visible.
import "./phone-history.js";
import "./phone-notices.js";
import "./phone-switches.js";
import "./phone-voicemail.js";
