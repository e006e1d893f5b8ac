# Sitemedic's own services: exporter, remediator and the one-shot render; target `demo` adds the demo's parts.
# Needs nothing of BuildKit.
FROM python:3.11-slim AS sitemedic

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes --requirement requirements.lock

# Volumes take the mode of the folder they are first mounted on: these let any user write, because the
# containers run as whoever owns the keys (SITEMEDIC_UID in docker-compose.yml).
RUN useradd --uid 1000 --create-home --shell /bin/sh sitemedic \
    && mkdir -p /volumes \
    && for name in tokens grafana-password exporter remediator prometheus alertmanager grafana; do \
           mkdir -m 1777 "/volumes/$name"; \
       done \
    && mkdir -p /etc/sitemedic/rendered \
    && mkdir -m 1777 /etc/sitemedic/rendered/prometheus /etc/sitemedic/rendered/alertmanager

COPY core core
COPY exporter exporter
COPY remediator remediator
COPY stack stack
COPY prometheus prometheus
COPY alertmanager alertmanager
COPY docs/runbooks docs/runbooks
RUN python -m compileall -q /app

USER 1000:1000
ENTRYPOINT ["python", "-m", "stack"]
CMD ["--help"]

# The demo's server runs a real sshd.
FROM sitemedic AS demo
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-server \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && mkdir -m 1777 /volumes/demo /volumes/mailbox
COPY demo demo
RUN python -m compileall -q /app/demo
USER 1000:1000
ENTRYPOINT ["python", "-m", "demo"]

# What puts the demo's site under load: Locust on top.
FROM demo AS stress
USER root
COPY requirements-stress.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
        --require-hashes --requirement requirements-stress.lock
USER 1000:1000
ENTRYPOINT ["python", "-m", "stack", "stress"]
