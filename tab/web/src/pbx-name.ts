// The PBX name as users type or paste it. The service decides on the canonical form (wire/pbx_name.py).

const MAX_TYPED = 2000;
const MAX_NAME = 253;
/** Host names. Underscores are not allowed in host names, but some older PBX names have them. */
const ASCII_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

/**
 * Return the host in the typed text, which is a name or a URL (`https://pbx.example.com:443/login`); null if there
 * is none. Letters beyond ASCII are unchanged: the service converts them to A-labels.
 */
export function pbxNameOf(typed: string): string | null {
  if (typed.length > MAX_TYPED) return null;
  const address = typed
    .trim()
    .replace(/^[<"'„“”]+|[>"'“”]+$/g, "")
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const [authority = ""] = address.split(/[/?#\\]/, 1);
  const host = authority.replace(/:\d{0,5}$/, "").replace(/\.$/, "");
  if (host === "" || host.length > MAX_NAME) return null;
  if (/^[\x00-\x7f]*$/.test(host)) return ASCII_NAME.test(host) ? host : null;
  return /[\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f\s]/.test(host) ? null : host;
}
