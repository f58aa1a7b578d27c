"""`pbx-teams openapi`: prints the OpenAPI document of the tab's API."""

import argparse
import json

from tab.openapi import document


def show(_options: argparse.Namespace) -> int:
    print(json.dumps(document(), indent=2))
    return 0
