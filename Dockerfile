# fastsync for containers, as an ordinary user with the trees below /data:
#
#   docker build -t fastsync .
#   docker run --rm -v /srv/photos:/data/photos:ro -v /backup:/data/backup fastsync mirror --yes photos/ backup/
#   docker run -d -p 192.168.1.10:9040-9041:9040-9041 -v /srv/media:/data:ro --stop-timeout 45 \
#     fastsync daemon --bind 0.0.0.0 --root /data
#
# What such a user cannot do (owners, other people's files) needs --user 0 and the capabilities that
# packaging/systemd/fastsyncd.service names.
FROM node:22-bookworm-slim AS build
RUN apt-get update \
  && apt-get install -y --no-install-recommends gcc libc6-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /fastsync
COPY package.json package-lock.json .npmrc ./
# No package's own scripts: the build finds the runtime without them.
RUN npm ci --omit=dev --ignore-scripts
COPY . .
RUN npm run build

FROM debian:bookworm-slim
COPY --from=build /fastsync/dist/fastsync /usr/bin/fastsync
RUN ln -s fastsync /usr/bin/fastsyncd \
  && ln -s fastsync /usr/bin/fastsync-utils \
  && groupadd --gid 10001 fastsync \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/fastsync --shell /usr/sbin/nologin fastsync \
  && install -d -o 10001 -g 10001 /data /var/lib/fastsync \
  && install -d /etc/fastsync
# By number, so that whoever wants no root in containers can see that this is none.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9040 9041
ENTRYPOINT ["/usr/bin/fastsync"]
CMD ["help"]
