"""Cases of alerts about edumeet and mediasoup."""

from typing import Dict

from cases.table import Case, exceeds

AGE = "lifecycle_exporter_oldest_entity_age_seconds"


def stream(host: str, metric: str, number: int, kind: str = "simple") -> str:
    """A stream that differs from the others in all its labels."""
    names = ["pid", "room_id", "peer_id", "display_name", "user_agent", "transport_id", "proto", "local_addr", "remote_addr", "id", "kind", "codec"]
    labels = ", ".join(f'{name}="{number}"' for name in names)
    return f'mediasoup_{metric}_score{{instance="{host}", {labels}, type="{kind}"}}'


def streams() -> Dict[str, str]:
    """Of `bad`, two of seven streams are bad from minute 100 on, one each way. Of `fair`, a quarter; of `less`, two of nine; of `few`, all three.

    `layers` has streams of several layers each way, the lowest of which is off; `hidden` has such that are good, too.
    """
    made = {stream("bad", "producer", number): "10x200" for number in range(5)}
    made[stream("bad", "producer", 5)] = "10x99 3.5x100"
    made[stream("bad", "consumer", 6)] = "10x99 3x100"
    made.update({stream("fair", "producer", number): "4x200" for number in range(6)})
    made.update({stream("fair", "consumer", number): "3x200" for number in range(2)})
    made.update({stream("few", "consumer", number): "0x200" for number in range(3)})
    made.update({stream("layers", "producer", number): "10x200" for number in range(4)})
    made.update({stream("layers", "producer", number, "simulcast"): "0x200" for number in range(4, 9)})
    made.update({stream("layers", "consumer", number, "simulcast"): "0x200" for number in range(4, 9)})
    made.update({stream("less", "producer", number): "10x200" for number in range(7)})
    made.update({stream("less", "producer", number): "0x200" for number in range(7, 9)})
    made.update({stream("hidden", "producer", number): "10x99 0x100" if number < 2 else "10x200" for number in range(6)})
    made.update({stream("hidden", way, number, "simulcast"): "10x200" for number in range(6, 9) for way in ("producer", "consumer")})
    return made


CASES = [
    Case(
        "EdumeetBadTransmission",
        "warning",
        streams(),
        {
            104: [],
            105: [
                ('instance="bad"', "28.57% of the streams on bad are transmitted badly."),
                ('instance="hidden"', "33.33% of the streams on hidden are transmitted badly."),
            ],
        },
    ),
    # Four are enough to say so.
    Case(
        "EdumeetBadTransmission",
        "warning",
        {stream("h", "consumer", number): "3x60" for number in range(4)},
        {30: [('instance="h"', "100% of the streams on h are transmitted badly.")]},
    ),
    exceeds(
        "EdumeetRoomOpenForADay",
        "info",
        AGE,
        'system="edumeet", entity="room"',
        86400,
        5,
        "A room on HOST has been open for 1d 0h 0m 1s.",
    ),
    Case("EdumeetRoomOpenForADay", "info", {AGE + '{instance="h", system="signaling", entity="room"}': "90000x200"}, {150: []}),
    Case("EdumeetRoomOpenForADay", "info", {AGE + '{instance="h", system="edumeet", entity="peer"}': "90000x200"}, {150: []}),
]
