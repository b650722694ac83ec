"""Our messages to charge points of the Python package `ocpp`, over a WebSocket, and theirs to us.

The package holds every message against its schemas, in both directions. Usage: peer.py PATH_OF_EXAMPLE (see peer.sh).
"""

import asyncio
import json
import logging
import subprocess
import sys

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as Point16, call as call16, call_result as result16
from ocpp.v201 import ChargePoint as Point201, call as call201, call_result as result201
from ocpp.v21 import ChargePoint as Point21, call as call21, call_result as result21

TIME = "2025-07-15T08:00:00Z"
PROTOCOLS = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
POWER = {"measurand": "Power.Active.Import"}


def old_point(taken):
    class Point(Point16):
        @on("SetChargingProfile")
        def set_profile(self, connector_id, cs_charging_profiles):
            taken.append(cs_charging_profiles)
            return result16.SetChargingProfile(status="Accepted")

    return Point, [
        call16.MeterValues(connector_id=1, meter_value=[
            {"timestamp": TIME, "sampled_value": [{**POWER, "value": "7.1", "unit": "kW"}]}]),
        call16.StatusNotification(connector_id=1, error_code="NoError", status="Charging"),
    ]


def new_point(base, call, result, taken):
    class Point(base):
        @on("SetChargingProfile")
        def set_profile(self, evse_id, charging_profile, **_):
            taken.append(charging_profile)
            return result.SetChargingProfile(status="Accepted")

    values = [{"timestamp": TIME, "sampled_value": [{**POWER, "value": 7.1, "unit_of_measure": {"unit": "kW"}}]}]
    needs = {"requested_energy_transfer": "DC", "departure_time": TIME,
             "dc_charging_parameters": {"ev_max_current": 200, "ev_max_voltage": 450, "energy_amount": 30000}}
    if call is call21:
        needs = {"requested_energy_transfer": "DC_BPT", "departure_time": TIME,
                 "v2x_charging_parameters": {"max_charge_power": 20000, "max_discharge_power": 15000}}
    return Point, [
        call.MeterValues(evse_id=1, meter_value=values),
        call.StatusNotification(timestamp=TIME, connector_status="Occupied", evse_id=1, connector_id=1),
        call.TransactionEvent(event_type="Updated", timestamp=TIME, trigger_reason="MeterValuePeriodic", seq_no=4,
                              transaction_info={"transaction_id": "7", "charging_state": "Charging"},
                              evse={"id": 1}, meter_value=values),
        call.NotifyEVChargingNeeds(evse_id=1, charging_needs=needs),
    ]


async def exchange(version, orders):
    """Orders to a point, messages of the point to us; gives what both said."""
    taken, received, answered = [], [], []
    if version == "1.6":
        kind, messages = old_point(taken)
    elif version == "2.0.1":
        kind, messages = new_point(Point201, call201, result201, taken)
    else:
        kind, messages = new_point(Point21, call21, result21, taken)
    done = asyncio.Event()

    async def management(socket):
        """Ours: bare frames, so that the package on the other side alone judges."""
        for number, order in enumerate(orders):
            await socket.send(json.dumps([2, f"o{number}", "SetChargingProfile", order["payload"]]))
            answered.append(json.loads(await socket.recv()))
        done.set()
        async for frame in socket:
            _, number, action, payload = json.loads(frame)
            received.append({"version": version, "action": action, "payload": payload})
            reply = {"status": "Accepted"} if action == "NotifyEVChargingNeeds" else {}
            await socket.send(json.dumps([3, number, reply]))

    protocol = PROTOCOLS[version]
    async with websockets.serve(management, "127.0.0.1", 0, subprotocols=[protocol]) as server:
        port = server.sockets[0].getsockname()[1]
        async with websockets.connect(f"ws://127.0.0.1:{port}/p", subprotocols=[protocol]) as socket:
            point = kind("p", socket)
            running = asyncio.create_task(point.start())
            await done.wait()
            for message in messages:
                await point.call(message, suppress=False)
            running.cancel()
    return taken, received, answered


def main(example):
    logging.getLogger("ocpp").setLevel(logging.ERROR)
    lines = subprocess.run([example, "orders"], check=True, capture_output=True, text=True).stdout.splitlines()
    lines = [json.loads(line) for line in lines]
    failed = False
    for version in PROTOCOLS:
        orders = [line for line in lines if line["version"] == version and "payload" in line]
        refused = [line for line in lines if line["version"] == version and "refused" in line]
        taken, received, answered = asyncio.run(exchange(version, orders))
        accepted = [frame for frame in answered if frame[0] == 3 and frame[2] == {"status": "Accepted"}]
        for frame in answered:
            if frame not in accepted:
                print(version, "not taken:", frame)
        replies = [{"version": version, "action": "SetChargingProfileResponse", "payload": frame[2]} for frame in accepted]
        theirs = "".join(json.dumps(message) + "\n" for message in received + replies)
        said = subprocess.run([example], check=True, capture_output=True, text=True, input=theirs).stdout.splitlines()
        said = [json.loads(line) for line in said]
        for message, line in zip(received, said):
            print(version, message["action"], "says", line["says"])
        unread = [line for line in said if not line["ok"]]
        print(f"{version}: {len(orders)} orders sent, {len(accepted)} accepted, {len(refused)} never said; "
              f"{len(said)} messages read, {len(unread)} refused")
        failed |= len(accepted) != len(orders) or len(taken) != len(orders) or bool(unread) or not received
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
