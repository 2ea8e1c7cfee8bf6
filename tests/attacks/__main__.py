"""`python -m tests.attacks --attack NAME --seconds S`: hostile clients in a process of their own, until their time is over.

The target comes as JSON on standard input, with one token a client; what the server answered them goes to standard output as
JSON. Attacks are for servers that a test or a bench has started on loopback.
"""

import argparse
import dataclasses
import json
import resource
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.attacks import connection_attacks, photo_attacks, request_attacks
from tests.attacks.attacker import Attacker
from tests.attacks.target import Target, split

ATTACKS: dict[str, Callable[[Attacker], None]] = {
    attack.__name__: attack
    for attack in (
        photo_attacks.progressive_bombs,
        photo_attacks.pixel_bombs,
        photo_attacks.many_collections,
        photo_attacks.metadata_bombs,
        request_attacks.health_floods,
        request_attacks.huge_values,
        request_attacks.json_brackets,
        request_attacks.filter_floods,
        request_attacks.error_floods,
        request_attacks.page_token_floods,
        connection_attacks.silent_connections,
        connection_attacks.endless_requests,
    )
}
_OPEN_FILES = 8_192


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack a server on loopback.")
    parser.add_argument("--attack", choices=sorted(ATTACKS), required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    target, *tokens = json.load(sys.stdin)
    base = Target(**target)
    for address in (base.grpc, base.page, base.metrics, base.health):
        assert split(address)[0] == "127.0.0.1", f"{address} is not on loopback: only servers of this machine are attacked"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _OPEN_FILES), hard))
    attackers = [
        Attacker(dataclasses.replace(base, token=token), f"127.0.0.{number}", seconds=options.seconds)
        for number, token in enumerate(tokens, 2)
    ]
    with ThreadPoolExecutor(len(attackers)) as pool:
        list(pool.map(ATTACKS[options.attack], attackers))
    print(json.dumps(sum((attacker.answers for attacker in attackers), Counter())))


if __name__ == "__main__":
    main()
