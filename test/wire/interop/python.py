"""A script for Python's grpcio against a Tailrace node, on bare bytes: no generated code is needed."""

import sys

import grpc

channel = grpc.insecure_channel(sys.argv[1])


def same(value):
    return value


def path(name):
    return "/log.v1.Log/" + name


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def delimited(tag, body):
    return bytes([tag]) + varint(len(body)) + body


def produce_request(value):
    return delimited(0x0A, delimited(0x0A, value))


produce = channel.unary_unary(path("Produce"), request_serializer=same, response_deserializer=same)
assert b"\x08" not in produce(produce_request(b"first"))[:1], "offset 0 is not sent"
assert produce(produce_request(b"second")).startswith(b"\x08\x01")

stream = channel.stream_stream(path("ProduceStream"), request_serializer=same, response_deserializer=same)
acks = list(stream(iter([produce_request(b"r%d" % at) for at in range(50)])))
assert [ack[1] for ack in acks] == list(range(2, 52)), acks

consume_stream = channel.unary_stream(path("ConsumeStream"), request_serializer=same, response_deserializer=same)
records = list(consume_stream(b"\x08\x31\x38\x01"))  # offset 49, stop at the end
assert len(records) == 3 and b"r49" in records[-1], records

bulk = channel.stream_unary(path("ProduceBulk"), request_serializer=same, response_deserializer=same)
answer = bulk(iter([delimited(0x0A, b"") * 2] * 3))
assert b"\x10\x06\x18\x03" in answer, answer

consume = channel.unary_unary(path("Consume"), request_serializer=same, response_deserializer=same)
try:
    consume(b"\x08\x7f")
    raise SystemExit("nothing was raised")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.OUT_OF_RANGE, error
    assert error.details() == "the offset is not in the log", error
    assert any(name == "grpc-status-details-bin" for name, _ in error.trailing_metadata())

try:
    list(consume_stream(b"\x20\x01", timeout=0.3))  # from the end, until the deadline
    raise SystemExit("nothing was raised")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error

tail = consume_stream(b"\x20\x01")
tail.cancel()
print("ok")
