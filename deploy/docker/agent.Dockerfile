# The agent: one static program, which goes into every pod.
#   docker build -f deploy/docker/agent.Dockerfile -t nes/agent .
ARG GO=1.26
FROM --platform=$BUILDPLATFORM golang:${GO}-bookworm AS build
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -buildid=" -o /nes-agent ./cmd/nes-agent

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /nes-agent /nes-agent
USER 65532:65532
ENTRYPOINT ["/nes-agent"]
