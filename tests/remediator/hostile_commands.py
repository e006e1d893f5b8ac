"""Commands that a thief of Sitemedic's key might try: a table, and mutations of the real ones."""

import random
import string

from core.servers.ssh import command_line
from remediator.on_server import docker, wrapper

TOKEN = "0123456789abcdef" * 2
FOREIGN_ID = "c" * 64
COMPOSE = (
    "--filter label=com.docker.compose.project=shop",
    "--filter label=com.docker.compose.service=web",
)
TABLE = [
    "",
    " ",
    "sh",
    "bash -i",
    "id",
    "/bin/sh",
    "docker",
    "docker ps",
    "docker info",
    "docker run -it alpine",
    "docker exec nginx sh",
    "docker cp nginx:/etc/passwd -",
    "docker rm -f nginx",
    "docker kill nginx",
    "docker stop nginx",
    "docker inspect nginx",
    "docker inspect --type container",
    "docker inspect --type image nginx",
    "docker inspect --type container --format {{.Id}} nginx",
    "docker inspect --type container -s nginx",
    "docker inspect --type container --size nginx",
    "docker -H tcp://1.2.3.4 restart -t 1 nginx",
    "docker --config /tmp restart nginx",
    "docker restart nginx",
    "docker restart -t 10",
    "docker restart -t -1 nginx",
    "docker restart -t 301 nginx",
    "docker restart -t 99999999999999999999 nginx",
    "docker restart -t 010 nginx",
    "docker restart -t 1e2 nginx",
    "docker restart -t 10 nginx nginx",
    "docker restart -t 10 -nginx",
    "docker restart -t 10 --signal=KILL",
    "docker restart --time 10 nginx",
    "docker restart -t 10 nginx secret",
    "docker restart -t 10 NGINX",
    "docker restart -t 10 nginx/",
    "docker restart -t 10 ../nginx",
    "docker restart -t 10 nginx;id",
    "docker restart -t 10 nginx; id",
    "docker restart -t 10 $(id)",
    "docker restart -t 10 `id`",
    "docker restart -t 10 'nginx'",
    'docker restart -t 10 "nginx"',
    "docker restart -t 10 ngin?",
    "docker restart -t 10 *",
    "docker restart -t 10 {nginx,secret}",
    "docker restart -t 10 nginx\nid",
    "docker restart -t 10 nginx\n",
    "\ndocker restart -t 10 nginx",
    "docker restart -t 10 nginx\r",
    "docker restart -t 10 nginx\t",
    "docker\trestart -t 10 nginx",
    "docker  restart -t 10 nginx",
    " docker restart -t 10 nginx",
    "docker restart -t 10 nginx ",
    "docker restart -t 10 nginx &",
    "docker restart -t 10 nginx | sh",
    "docker restart -t 10 nginx > /tmp/x",
    "docker restart -t 10 nginx # x",
    "docker restart -t 10 n\\ginx",
    "docker restart -t 10 ~",
    "docker restart -t 10 $IFS",
    "docker restart -t 10 ${IFS}",
    "docker restart -t 10 nginx\x00id",
    "docker restart -t 10 nginx\x1b[2J",
    "docker restart -t 10 ünginx",
    "docker restart -t 10 nginx\u2028id",
    "x:docker inspect --type container nginx",
    "Docker restart -t 10 nginx",
    "/usr/bin/docker restart -t 10 nginx",
    "docker.exe restart -t 10 nginx",
    "sudo docker restart -t 10 nginx",
    "env docker restart -t 10 nginx",
    "A=b docker restart -t 10 nginx",
    "docker start -a nginx",
    "docker start nginx secret",
    "docker start --attach nginx",
    "docker start",
    "docker logs nginx",
    "docker logs -f nginx",
    "docker logs --timestamps --tail all nginx",
    "docker logs --timestamps --tail 1001 nginx",
    "docker logs --timestamps --tail -1 nginx",
    "docker logs --timestamps --follow 20 nginx",
    "docker logs --timestamps --tail 20 -f",
    "docker ps --all --quiet --no-trunc",
    "docker ps --all --quiet --no-trunc --filter name=x --filter name=y",
    "docker ps --all --quiet --no-trunc --filter label=com.docker.compose.project=shop --filter label=x",
    f"docker ps --all --quiet --no-trunc {COMPOSE[1]} {COMPOSE[0]}",
    f"docker ps --all --quiet --no-trunc {COMPOSE[0]} {COMPOSE[1]}x",
    f"docker ps --all --quiet --no-trunc {COMPOSE[0]} {COMPOSE[1]} --filter x=y",
    f"docker ps --all --quiet --format {COMPOSE[0]} {COMPOSE[1]}",
    f"docker ps --all --quiet --no-trunc {COMPOSE[0]} {COMPOSE[0]}",
    f"docker ps --all --quiet --no-trunc {COMPOSE[0]}=web {COMPOSE[1]}",
    "sitemedic-hook",
    "sitemedic-hook reindex",
    f"sitemedic-hook ../reindex {TOKEN}",
    f"sitemedic-hook -x {TOKEN}",
    f"sitemedic-hook other {TOKEN}",
    "sitemedic-hook reindex ../../x",
    f"sitemedic-hook reindex {TOKEN} x",
    f"sitemedic-hook reindex {TOKEN.upper()}",
    f"sitemedic-hook reindex {TOKEN[:-1]}",
    f"sitemedic-hook .. {TOKEN}",
    f"sitemedic-hook reindex {TOKEN}0",
    "sitemedic-wrapper",
    "sitemedic-wrapper check x",
    "sitemedic-wrapper --help",
    "sitemedic-wrapper hook-ran",
    "sitemedic-wrapper hook-ran reindex",
    f"sitemedic-wrapper hook-ran other {TOKEN}",
    f"sitemedic-wrapper hook-ran reindex/../x {TOKEN}",
    "internal-sftp",
    "/usr/lib/openssh/sftp-server",
    "scp -t /tmp",
    "rsync --server .",
    "git-upload-pack x",
    "docker inspect --type container " + "nginx " * 99 + "nginx",
    "docker restart -t 10 " + "a" * 200,
    "x" * 9000,
    "docker inspect --type container " + "/" * 50,
]


WORDS = [
    "docker",
    "inspect",
    "ps",
    "logs",
    "restart",
    "start",
    "--type",
    "container",
    "--all",
    "--quiet",
    "--no-trunc",
    "--filter",
    "--timestamps",
    "--tail",
    "-t",
    "10",
    "20",
    "nginx",
    "secret",
    "-",
    "--",
    "-H",
    "exec",
    "run",
    "image",
    "sitemedic-hook",
    "sitemedic-wrapper",
    "check",
    "containers",
    "events",
    "hook-ran",
    "reindex",
    TOKEN,
    "label=com.docker.compose.project=shop",
    "label=com.docker.compose.service=web",
    "label=com.docker.compose.service=db",
    "$(id)",
    "`id`",
    "'",
    '"',
    ";",
    "|",
    "&",
    "*",
    "\n",
    "\\",
    "~",
    "../x",
    FOREIGN_ID,
    "",
    "\x7f",
    "é",
]
LOOKING = ("check", "containers", "usage", "machine", "events")
HARMLESS = {f"sitemedic-wrapper {verb}" for verb in LOOKING}


def mutations(number: int) -> list[str]:
    """Make hostile commands: real ones with words swapped, dropped, doubled, and bytes put in anywhere."""
    chance = random.Random(4)
    real = [
        command_line(argv)
        for argv in (
            docker.restart_argv("nginx", 10),
            docker.start_argv("nginx"),
            docker.logs_argv("nginx"),
            docker.inspect_argv(["nginx"]),
            docker.find_argv("shop", "web"),
            wrapper.hook_argv("reindex", TOKEN),
            wrapper.hook_ran_argv("reindex", TOKEN),
            wrapper.check_argv(),
            *(["sitemedic-wrapper", verb] for verb in LOOKING[1:]),
        )
    ]
    found: list[str] = []
    while len(found) < number:
        words = chance.choice(real).split(" ")
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(words))
            match chance.randrange(4):
                case 0:
                    words[place] = chance.choice(WORDS)
                case 1:
                    words.insert(place, chance.choice(WORDS))
                case 2 if len(words) > 1:
                    del words[place]
                case _:
                    letter = chance.choice(string.punctuation + string.whitespace + "é\x01")
                    at = chance.randrange(len(words[place]) + 1)
                    words[place] = words[place][:at] + letter + words[place][at:]
        command = " ".join(words)
        if command not in real:
            found.append(command)
    return found


def allowed_after_all(command: str) -> bool:
    """Tell, in other words than the wrapper's, whether a mutation is again something that is allowed."""
    words = command.split(" ")
    match words:
        case ["docker", "restart", "-t", number, "nginx"]:
            return (
                number.isascii() and number.isdecimal() and str(int(number)) == number and int(number) <= 300
            )
        case ["docker", "start", "nginx"]:
            return True
        case ["docker", "logs", "--timestamps", "--tail", number, "nginx"]:
            return (
                number.isascii() and number.isdecimal() and str(int(number)) == number and int(number) <= 1000
            )
        case ["docker", "inspect", "--type", "container", *names]:
            return bool(names) and set(names) == {"nginx"}
        case ["sitemedic-hook", "reindex", token] | ["sitemedic-wrapper", "hook-ran", "reindex", token]:
            return token == TOKEN
    return command in HARMLESS
