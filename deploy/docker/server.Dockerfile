# The server and the command line. Everything it keeps on disk is below /var/lib/nes.
#   docker build -f deploy/docker/server.Dockerfile -t nes/server .
ARG GO=1.26
FROM --platform=$BUILDPLATFORM golang:${GO}-bookworm AS build
ARG TARGETARCH VERSION
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o /nes ./cmd/nes
RUN mkdir -p /data/nes /data/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /nes /nes
COPY --from=build --chown=65532:65532 /data/nes /var/lib/nes
COPY --from=build --chown=65532:65532 /data/tmp /tmp
ENV NES_DATA_DIR=/var/lib/nes NES_ADDR=:8080
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/nes"]
CMD ["serve"]
