"""Fills a domain that was just provisioned: people, groups, and a lock-out policy. Its argument is the domain's folder."""

import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

folder = sys.argv[1]
settings = LoadParm()
settings.load(folder + "/etc/smb.conf")
db = SamDB(url=folder + "/private/sam.ldb", session_info=system_session(), lp=settings)
base = str(db.domain_dn())
NEVER = str(-0x8000000000000000)
HALF_AN_HOUR = str(-30 * 60 * 10**7)


def replace(dn, **values):
    message = ldb.Message()
    message.dn = ldb.Dn(db, dn)
    for name, value in values.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    db.modify(message)


def user(name, ou="Staff"):
    db.newuser(name, "Secret.123", userou=f"OU={ou}", givenname=name, surname="Test", mailaddress=f"{name}@example.org")


def dn(name):
    return str(db.search(base, expression=f"(sAMAccountName={name})", attrs=["1.1"])[0].dn)


def group(name, members=(), ou="Groups", **more):
    db.newgroup(name, groupou=f"OU={ou}", **more)
    if members:
        db.add_remove_group_members(name, list(members))


replace(
    base,
    lockoutThreshold="5",
    lockoutDuration=HALF_AN_HOUR,
    lockOutObservationWindow=HALF_AN_HOUR,
    maxPwdAge=NEVER,
    minPwdAge="0",
    minPwdLength="4",
    pwdProperties="0",
    pwdHistoryLength="0",
)
for ou in ["Staff", "Groups", "Service", "Elsewhere"]:
    db.add({"dn": f"OU={ou},{base}", "objectClass": "organizationalUnit"})

db.transaction_start()
people = ["alice", "bob", "carol", "disabled", "mustchange", "expired", "locked", "leaver", "many", "primary", "changer"]
for name in people:
    user(name)
user("svc-narrows", ou="Service")
user("outsider", ou="Elsewhere")

# Groups of groups: alice is in team-l0 alone, and team-l5 is five levels up.
group("team-l0", ["alice"])
for level in range(1, 6):
    group(f"team-l{level}", [f"team-l{level - 1}"])
group("cycle-a", ["alice"])
group("cycle-b", ["cycle-a"])
db.add_remove_group_members("cycle-a", ["cycle-b"])
group("registry-payments", ["team-l5"])
# A DN with what has to be escaped.
db.add({
    "dn": f"CN=Löwen\\, und Bären,OU=Groups,{base}",
    "objectClass": "group",
    "sAMAccountName": "Löwen und Bären",
    "member": dn("alice"),
})
group("elsewhere", ["alice"], ou="Elsewhere")
group("letters", ["alice"], grouptype=2)
group("primaries")
db.add_remove_group_members("primaries", ["primary"])
for number in range(70):
    group(f"many-{number:02}", ["many"])
# More members than narrows ever asks for at a time.
crowd = [f"crowd-{number:02}" for number in range(30)]
for name in crowd:
    user(name)
group("crowd", crowd)

# The token of a group's number: what follows the last dash of its SID.
sid = db.search(base, expression="(sAMAccountName=primaries)", attrs=["objectSid"])[0]["objectSid"][0]
number = int.from_bytes(bytes(sid)[-4:], "little")
replace(dn("primary"), primaryGroupID=str(number))

control = int(db.search(base, expression="(sAMAccountName=disabled)", attrs=["userAccountControl"])[0]["userAccountControl"][0])
replace(dn("disabled"), userAccountControl=str(control | 2))
replace(dn("mustchange"), pwdLastSet="0")
replace(dn("expired"), accountExpires="132223104000000000")
db.transaction_commit()
