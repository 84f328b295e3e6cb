"""The shapes of requests and replies, version 1. `/openapi.json` is made from them."""
