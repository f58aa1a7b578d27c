"""`pbx-teams manifest`: builds the Teams app package."""

import argparse

from app import settings
from manifest import build as manifest_build


def build(options: argparse.Namespace) -> int:
    loaded = settings.load_app(options.settings)
    manifest_build.build(
        manifest_build.PackageSettings(
            public_url=loaded.public_url,
            app_id=loaded.app_id,
            bot_id=loaded.bot_app_id,
            teams_app_id=loaded.teams_app_id,
            application_id_uris=loaded.application_id_uris,
            developer_name=loaded.developer_name,
            developer_url=loaded.developer_url,
            privacy_url=loaded.privacy_url,
            terms_url=loaded.terms_url,
        ),
        options.out,
    )
    print(f"Wrote {options.out} (version {manifest_build.app_version()}, languages en and de).")
    print("Sideload it in Teams under Apps, Manage your apps, Upload an app; docs/install.md has the rest.")
    return 0
