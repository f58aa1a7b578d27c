import "@fluentui/web-components/button.js";
import "./frame/header.js";
import "./frame/navigation.js";
import "./message.js";
import "./placeholder.js";
import "./pages/my-state.js";
import "./pages/offers.js";
import "./pages/sign-in.js";
import "./pages/waiting.js";
import "./toasts.js";
import "./app.js";

window.dispatchEvent(new Event("pbx-started"));
