#!/usr/bin/env python3
"""A rolecall plugin that keeps users and groups in a JSON file.

    plugin.py FILE

It is an example to start from: `JsonFile` is the target, and the part to replace by your own. What is below it speaks
the protocol, and can stay as it is. It needs Python 3.8 or newer, and nothing else.

What a plugin must get right, and where this one does:

* Any change may come again, also one that was answered already (rolecall may have died before it noted the answer). So
  every change says what should be true, and is written whether or not it is so already: `put_user`, `remove_user`.
* Nothing is answered with "applied" before it is kept for good: `save`.
* The plugin may be killed at any time. The file is replaced as a whole, so it is never half written: `save`.
* One change that cannot be done never harms the others: `Refused` in `apply`.
* A user may name a group that is not there yet, or not any more. The membership is kept, and shows when the group is
  there: `observe`.
* Who is inactive has no access and no roles: `put_user`.
"""

import json
import os
import sys

PROTOCOL = 1


class Refused(Exception):
    """This change can never be done as it is; the text says why, and what to do."""


class Later(Exception):
    """This change cannot be done now; the text says why."""


class Down(Exception):
    """Nothing can be done at all now; the text says why."""


class JsonFile:
    """The target: a file with the users and the groups, each by its id."""

    def __init__(self, path):
        self.path = path
        self.users = {}
        self.groups = {}

    def load(self):
        """Reads what is there now. Others may have written to the file since."""
        try:
            with open(self.path, encoding="utf-8") as file:
                data = json.load(file)
            self.users, self.groups = data["users"], data["groups"]
        except FileNotFoundError:
            self.users, self.groups = {}, {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Down(f"cannot read {self.path}: {error}") from error

    def save(self):
        """Writes all of it, so that it is on the disk when this returns, and whole whatever happens meanwhile."""
        new = self.path + ".new"
        try:
            with open(new, "w", encoding="utf-8") as file:
                json.dump({"users": self.users, "groups": self.groups}, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
            directory = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise Down(f"cannot write {self.path}: {error}") from error

    def put_user(self, user):
        """Makes the user what they should be, and says what had to be done."""
        if "user_name" not in user:
            raise Refused(f"user {user['id']} has no user_name, and nobody can sign in here without one")
        before = self.users.get(user["id"])
        now = {
            "active": user["active"],
            "user_name": user["user_name"],
            "email": user.get("email"),
            "display_name": user.get("display_name"),
            "groups": sorted(user["groups"]),
            # rolecall sends no roles for who is inactive; a target must not keep any either.
            "roles": sorted(user["roles"]) if user["active"] else [],
        }
        self.users[user["id"]] = now
        if before is None:
            return "created"
        if before["active"] != now["active"]:
            return "reactivated" if now["active"] else "deactivated"
        return "unchanged" if before == now else "updated"

    def remove_user(self, user_id):
        """That there is no such user is well: the same removal may have come before."""
        return "unchanged" if self.users.pop(user_id, None) is None else "deleted"

    def put_group(self, group):
        before = self.groups.get(group["id"])
        self.groups[group["id"]] = {"name": group["name"]}
        if before is None:
            return "created"
        return "unchanged" if before["name"] == group["name"] else "updated"

    def remove_group(self, group_id):
        return "unchanged" if self.groups.pop(group_id, None) is None else "deleted"


class Plugin:
    """Answers rolecall's requests."""

    def __init__(self, target):
        self.target = target

    def hello(self, request):
        return {
            "answer": "hello",
            "protocol": PROTOCOL,
            "name": "json-file",
            "version": "1.0",
            "can": {
                "observe": True,
                # Every write replaces all of a user, so whatever an earlier attempt left is gone.
                "reads_target": True,
                # For `rolecall plugin test`: what `observe` reports of a user, and what no user can do without.
                "profile": ["user_name", "email", "display_name"],
                "needs": ["user_name"],
            },
        }

    def probe(self, request):
        self.target.load()
        return {"answer": "ready"}

    def apply(self, request):
        """One outcome per change, in the order of the changes."""
        self.target.load()
        outcomes = [self.outcome(change) for change in request["changes"]]
        self.target.save()
        return {"answer": "outcomes", "outcomes": outcomes}

    def outcome(self, change):
        try:
            action = self.bring_up_to_date(change)
        except Refused as error:
            return {"outcome": "reject", "reason": str(error)}
        except Later as error:
            return {"outcome": "retry", "reason": str(error)}
        # `remote` is the target's own id. It comes back with every later change of this user or group. This target has no
        # ids of its own, so it is the id that rolecall knows already.
        return {"outcome": "applied", "action": action, "remote": change["entity"]["id"]}

    def bring_up_to_date(self, change):
        entity, desired = change["entity"], change["desired"]
        if entity["kind"] == "user":
            return self.target.put_user(desired) if desired else self.target.remove_user(entity["id"])
        return self.target.put_group(desired) if desired else self.target.remove_group(entity["id"])

    def observe(self, request):
        """All that the target holds and this plugin manages, in as many answers as it takes."""
        self.target.load()
        items = []
        for group_id, group in self.target.groups.items():
            items.append({"kind": "group", "remote": group_id, "id": group_id, "name": group["name"]})
        for user_id, user in self.target.users.items():
            attributes = {name: user[name] for name in ("user_name", "email", "display_name")}
            items.append(
                {
                    "kind": "user",
                    "remote": user_id,
                    "id": user_id,
                    "active": user["active"],
                    "groups": [group for group in user["groups"] if group in self.target.groups],
                    "roles": user["roles"],
                    "profile": {name: value for name, value in attributes.items() if value is not None},
                }
            )
        for start in range(0, len(items), 500):
            yield {"answer": "observed", "items": items[start : start + 500]}
        yield {"answer": "end"}

    def answers(self, request):
        """The answers to a request: one, and to `observe` several."""
        try:
            if request["request"] == "observe":
                yield from self.observe(request)
            else:
                yield {"hello": self.hello, "probe": self.probe, "apply": self.apply}[request["request"]](request)
        except Down as error:
            yield {"answer": "down", "reason": str(error)}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: plugin.py FILE")
    # Standard output is for answers alone. Whatever else is printed goes to standard error, and so to rolecall's log.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    plugin = Plugin(JsonFile(sys.argv[1]))
    # Bytes, because JSON is UTF-8 whatever the locale says. The loop, and with it the plugin, ends when rolecall closes
    # its end: also when rolecall was killed.
    for line in sys.stdin.buffer:
        request = json.loads(line)
        for answer in plugin.answers(request):
            answer["id"] = request["id"]
            out.write(json.dumps(answer).encode("ascii") + b"\n")
            # Without this the answer stays here, and rolecall waits until its patience is over.
            out.flush()


if __name__ == "__main__":
    main()
