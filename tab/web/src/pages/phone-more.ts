// What stands beside dialling and the calls: fetched while those are shown already.
import "./phone-history.js";
import "./phone-switches.js";
import "./phone-voicemail.js";
