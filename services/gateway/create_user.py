"""Makes a user with an API key: `python -m services.gateway.create_user --email ada@example.com`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Collection

from onevoice_kit.db import create_engine, transaction
from onevoice_kit.errors import InvalidInput, OneVoiceError
from onevoice_kit.settings import DatabaseSettings
from services.gateway.accounts import Right, add_key, ensure_user, grant, new_key


async def create_user(
    settings: DatabaseSettings, email: str, name: str, key_name: str, rights: Collection[Right] = ()
) -> dict[str, str]:
    """Creates a key for the user with this address, creates the user where there is none, and adds these rights."""
    email = email.strip()
    if not 3 <= len(email) <= 254 or email.count("@") != 1 or any(c.isspace() for c in email):
        raise InvalidInput("This is not an e-mail address.", reason="invalid_email")
    engine = create_engine(settings)
    try:
        key = new_key()
        async with transaction(engine) as connection:
            user = await ensure_user(connection, email, name)
            await grant(connection, user.id, rights)
            await add_key(connection, user.id, key, key_name)
        return {"user_id": str(user.id), "api_key": key}
    finally:
        await engine.dispose()


def main() -> None:
    """Prints `{"user_id", "api_key"}` as JSON; exit code 1 and one sentence where it fails."""
    parser = argparse.ArgumentParser(prog="create_user", description=__doc__)
    parser.add_argument("--email", required=True)
    parser.add_argument("--name", default="", help="name of the person")
    parser.add_argument("--key-name", default="default", help="name by which the key is known")
    parser.add_argument("--grant", type=Right, choices=list(Right), action="append", default=[], help="a right to add")
    arguments = parser.parse_args()
    settings = DatabaseSettings()
    try:
        made = asyncio.run(create_user(settings, arguments.email, arguments.name, arguments.key_name, arguments.grant))
    except OneVoiceError as error:
        sys.exit(error.message)
    sys.stdout.write(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
