"""XML from the network (UCI): a document with entities is refused, before anything is read or expanded."""

import pytest
from defusedxml import EntitiesForbidden

from connector.uci import read_xmlrpc

ENTITIES = {
    "a file": '<!ENTITY a SYSTEM "file:///etc/hostname">',
    "an address": '<!ENTITY a SYSTEM "http://192.0.2.1/">',
    "text": '<!ENTITY a "b">',
    "text that grows": '<!ENTITY b "bbbb"><!ENTITY a "&b;&b;&b;&b;">',
}
DECLARATIONS = ("", '<?xml version="1.0" encoding="UTF-8"?>', '<?xml version="1.0" encoding="ISO-8859-1"?>')


@pytest.mark.parametrize("kind", ENTITIES)
@pytest.mark.parametrize("declaration", DECLARATIONS)
@pytest.mark.parametrize("beside", ["x", "ü"])
def test_entities_are_refused(kind: str, declaration: str, beside: str) -> None:
    # "ü" as ISO-8859-1 makes the reader try a second time.
    content = (
        f"{declaration}<!DOCTYPE m [{ENTITIES[kind]}]><methodCall><methodName>m</methodName>"
        f"<params><param><value><string>&a;{beside}</string></value></param></params></methodCall>"
    )
    with pytest.raises(EntitiesForbidden):
        read_xmlrpc(content.encode("iso-8859-1"))
