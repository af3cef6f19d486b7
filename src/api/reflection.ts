/**
 * Server reflection, v1 and v1alpha (the same messages under two names): what lets grpcurl and others call us without
 * our proto files. Answers every request in order and ends when the caller has no more.
 *
 * Never: names a service that is not served.
 */
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type HandlerContext } from "@connectrpc/connect";
import type { ServerReflectionRequest } from "../gen/grpc/reflection/v1/reflection_pb.js";
import type { ServerReflectionRequest as AlphaRequest } from "../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { signalOf, unlessAborted } from "./calls/abort.ts";
import { callOf } from "./calls/call-context.ts";

type Question = ServerReflectionRequest | AlphaRequest;

type Answer =
  | { readonly case: "fileDescriptorResponse"; readonly value: { fileDescriptorProto: Uint8Array[] } }
  | { readonly case: "listServicesResponse"; readonly value: { service: { name: string }[] } }
  | {
      readonly case: "allExtensionNumbersResponse";
      readonly value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { readonly case: "errorResponse"; readonly value: { errorCode: number; errorMessage: string } };

/** Answers reflection questions about these files, of which only `services` are listed. */
export function reflection(files: readonly DescFile[], services: readonly string[]) {
  const byName = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (byName.has(file.proto.name)) return;
    byName.set(file.proto.name, file);
    file.dependencies.forEach(add);
  };
  files.forEach(add);
  const bySymbol = new Map<string, DescFile>();
  const messages = new Set<string>();
  for (const file of byName.values()) {
    for (const symbol of symbolsOf(file)) bySymbol.set(symbol, file);
    for (const message of file.messages) messages.add(message.typeName);
  }

  const answerFile = (file: DescFile | undefined, what: string): Answer =>
    file === undefined
      ? notFound(what)
      : { case: "fileDescriptorResponse", value: { fileDescriptorProto: withDependencies(file) } };

  const answer = ({ messageRequest: asked }: Question): Answer => {
    switch (asked.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: services.map((name) => ({ name })) } };
      case "fileByFilename":
        return answerFile(byName.get(asked.value), `file ${asked.value}`);
      case "fileContainingSymbol":
        return answerFile(bySymbol.get(asked.value.replace(/^\./, "")), `symbol ${asked.value}`);
      case "fileContainingExtension":
        return notFound(`extension ${asked.value.extensionNumber} of ${asked.value.containingType}`);
      case "allExtensionNumbersOfType":
        return messages.has(asked.value)
          ? { case: "allExtensionNumbersResponse", value: { baseTypeName: asked.value, extensionNumber: [] } }
          : notFound(`type ${asked.value}`);
      case undefined:
        return {
          case: "errorResponse",
          value: { errorCode: Code.InvalidArgument, errorMessage: "the request asks nothing" },
        };
    }
  };

  return async function* serverReflectionInfo<Request extends Question>(
    requests: AsyncIterable<Request>,
    context: HandlerContext,
  ) {
    const signal = signalOf(callOf(context), context.signal);
    const iterator = requests[Symbol.asyncIterator]();
    for (;;) {
      const step = await unlessAborted(iterator.next(), signal, "no");
      if (step.done) return;
      yield { validHost: step.value.host, originalRequest: step.value, messageResponse: answer(step.value) };
    }
  };
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage: `there is no ${what}` } };
}

/** Everything a file declares, by its full name. */
function* symbolsOf(file: DescFile): Generator<string> {
  for (const service of file.services) {
    yield service.typeName;
    for (const method of service.methods) yield `${service.typeName}.${method.name}`;
  }
  const nested = [...file.messages];
  for (let message = nested.pop(); message !== undefined; message = nested.pop()) {
    yield message.typeName;
    for (const field of message.fields) yield `${message.typeName}.${field.name}`;
    for (const inner of message.nestedEnums) yield inner.typeName;
    nested.push(...message.nestedMessages);
  }
  for (const found of file.enums) yield found.typeName;
}

/** The file and all it needs, so that no second question is necessary. */
function withDependencies(file: DescFile): Uint8Array[] {
  const wanted = new Set<DescFile>();
  const add = (one: DescFile): void => {
    if (wanted.has(one)) return;
    wanted.add(one);
    one.dependencies.forEach(add);
  };
  add(file);
  return [...wanted].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}
