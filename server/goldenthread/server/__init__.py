"""The service: gRPC in front, one use case a command behind, one way in for every change."""
