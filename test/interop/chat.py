"""Two people chat through Kintsugi with python-socketio, a client that shares no code with the server.

    python3 chat.py http://127.0.0.1:3000

Prints what it did; exits with an error and the reason when the server does not do as docs/protocol.md says.
Needs python-socketio 5 and websocket-client (Debian: python3-socketio, python3-websocket).
"""

import json
import queue
import sys
import urllib.error
import urllib.request
import uuid

import socketio

TIMEOUT = 10  # seconds for any one answer or event


def post(url, body, status=200, token=None):
    """POSTs JSON, checks the status and returns the answer."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        text = response.read().decode()
        assert response.status == status, f"POST {url}: {response.status} instead of {status}: {text}"
        return json.loads(text) if text else None


class Person:
    """An account with one socket; keeps the events that it hears."""

    def __init__(self, server, name):
        self.server = server
        self.username = f"{name}-{uuid.uuid4().hex[:8]}"
        self.password = "correct horse battery"
        self.heard = queue.Queue()
        account = {
            "email": f"{self.username}@example.org",
            "username": self.username,
            "displayName": name.title(),
            "password": self.password,
        }
        self.id = post(f"{server}/v1/auth/register", account, status=201)["user"]["id"]

    def connect(self):
        """Logs in and opens a socket; returns when the server says that it is ready."""
        login = post(f"{self.server}/v1/auth/login", {"username": self.username, "password": self.password})
        assert login["user"]["id"] == self.id, "login gave another user"
        self.socket = socketio.Client(reconnection=False)
        self.socket.on("*", lambda event, payload=None: self.heard.put((event, payload)))
        self.socket.connect(
            self.server, auth={"token": login["accessToken"]}, transports=["websocket"], wait_timeout=TIMEOUT
        )
        ready = self.hears("session:ready")
        assert ready["userId"] == self.id, "the socket is someone else's"
        assert ready["protocol"] == 1, f"another protocol: {ready}"

    def ask(self, command, **body):
        """Sends a command and returns the data of its acknowledgment."""
        answer = self.socket.call(command, body, timeout=TIMEOUT)
        assert answer["ok"] is True, f"{command} was refused: {answer}"
        return answer["data"]

    def is_refused(self, command, code, **body):
        """Sends a command that must fail with this code."""
        answer = self.socket.call(command, body, timeout=TIMEOUT)
        assert answer["ok"] is False and answer["error"]["code"] == code, f"{command}: {answer} instead of {code}"

    def hears(self, wanted):
        """Waits for an event; others that come before it are let go."""
        while True:
            try:
                event, payload = self.heard.get(timeout=TIMEOUT)
            except queue.Empty:
                raise AssertionError(f"{self.username} did not hear {wanted}") from None
            if event == wanted:
                return payload


def stranger_is_refused(server):
    """A socket without a valid token does not come in, and is told why."""
    reasons = queue.Queue()
    socket = socketio.Client(reconnection=False)
    socket.on("connect_error", reasons.put)
    try:
        socket.connect(server, auth={"token": "nonsense"}, transports=["websocket"], wait_timeout=TIMEOUT)
    except socketio.exceptions.ConnectionError:
        reason = reasons.get(timeout=TIMEOUT)
        assert reason["data"]["code"] == "unauthenticated", f"refused for another reason: {reason}"
        return
    socket.disconnect()
    raise AssertionError("a socket with a nonsense token was let in")


def chat(server):
    """The whole story; raises AssertionError where it goes wrong."""
    stranger_is_refused(server)
    print("a stranger is refused")

    alice, bob = Person(server, "alice"), Person(server, "bob")
    try:
        alice.connect()
        bob.connect()
        print("both are connected")

        conversation = alice.ask("conversation:create", type="direct", participantIds=[bob.id])
        assert conversation["type"] == "direct", conversation
        assert {one["userId"] for one in conversation["participants"]} == {alice.id, bob.id}, conversation
        assert bob.hears("conversation:created")["id"] == conversation["id"]
        again = bob.ask("conversation:create", type="direct", participantIds=[alice.id])
        assert again["id"] == conversation["id"], "a pair has two direct conversations"
        print("they have one direct conversation")

        place = {"conversationId": conversation["id"]}
        text = "Grüße aus Python 🐍, 안녕"
        message = {**place, "clientId": str(uuid.uuid4()), "content": text}
        sent = alice.ask("message:send", **message)
        assert sent["change"] > sent["prevChange"], sent
        event = bob.hears("messages:created")
        assert event["conversationId"] == conversation["id"], event
        (received,) = event["messages"]
        assert received["id"] == sent["id"] and received["seq"] == sent["seq"], received
        assert received["content"] == text and received["senderId"] == alice.id, received
        print("a message was sent, acknowledged and received")

        repeated = alice.ask("message:send", **message)
        assert repeated["id"] == sent["id"] and repeated["duplicate"] is True, repeated
        alice.is_refused("message:send", "invalid_request", **message, unknown=1)
        alice.is_refused("message:send", "not_found", **{**message, "conversationId": str(uuid.uuid4())})

        answer = bob.ask("message:send", **place, clientId=str(uuid.uuid4()), content="Hello", replyToId=sent["id"])
        assert answer["seq"] == sent["seq"] + 1, "a repeat or a refused message took a number"
        assert alice.hears("messages:created")["messages"][0]["replyTo"]["id"] == sent["id"]
        print("it was answered")

        history = alice.ask("message:history", **place)
        assert [one["id"] for one in history["messages"]] == [sent["id"], answer["id"]], history
        assert history["hasBefore"] is False and history["hasAfter"] is False, history
        position = bob.ask("receipt:read", **place, seq=answer["seq"])
        assert position["unreadCount"] == 0, position
        print("both see the same history")
    finally:
        for person in (alice, bob):
            if hasattr(person, "socket"):
                person.socket.disconnect()


if __name__ == "__main__":
    try:
        chat(sys.argv[1].rstrip("/"))
    except AssertionError as error:
        sys.exit(f"failed: {error}")
    print("all as the protocol says")
