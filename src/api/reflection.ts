/**
 * Server reflection, v1 and v1alpha (the same messages under two names). With it, grpcurl and other clients can call the
 * server without its proto files. Requests are answered in order.
 */
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type HandlerContext } from "@connectrpc/connect";
import type { ServerReflectionRequest } from "../gen/grpc/reflection/v1/reflection_pb.js";
import type { ServerReflectionRequest as AlphaRequest } from "../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { signalOf, unlessAborted } from "./calls/abort.ts";
import { callOf } from "./calls/call-context.ts";

type Request = ServerReflectionRequest | AlphaRequest;

type Response =
  | { readonly case: "fileDescriptorResponse"; readonly value: { fileDescriptorProto: Uint8Array[] } }
  | { readonly case: "listServicesResponse"; readonly value: { service: { name: string }[] } }
  | {
      readonly case: "allExtensionNumbersResponse";
      readonly value: { baseTypeName: string; extensionNumber: number[] };
    }
  | { readonly case: "errorResponse"; readonly value: { errorCode: number; errorMessage: string } };

/** Creates the handler. It describes `files` and their dependencies, and lists only `services`. */
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

  const describeFile = (file: DescFile | undefined, what: string): Response =>
    file === undefined
      ? notFound(what)
      : { case: "fileDescriptorResponse", value: { fileDescriptorProto: withDependencies(file) } };

  const respond = ({ messageRequest: requested }: Request): Response => {
    switch (requested.case) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: services.map((name) => ({ name })) } };
      case "fileByFilename":
        return describeFile(byName.get(requested.value), `file ${requested.value}`);
      case "fileContainingSymbol":
        return describeFile(bySymbol.get(requested.value.replace(/^\./, "")), `symbol ${requested.value}`);
      case "fileContainingExtension":
        return notFound(`extension ${requested.value.extensionNumber} of ${requested.value.containingType}`);
      case "allExtensionNumbersOfType":
        return messages.has(requested.value)
          ? {
              case: "allExtensionNumbersResponse",
              value: { baseTypeName: requested.value, extensionNumber: [] },
            }
          : notFound(`type ${requested.value}`);
      case undefined:
        return {
          case: "errorResponse",
          value: { errorCode: Code.InvalidArgument, errorMessage: "the request is empty" },
        };
    }
  };

  return async function* serverReflectionInfo<T extends Request>(
    requests: AsyncIterable<T>,
    context: HandlerContext,
  ) {
    const signal = signalOf(callOf(context), context.signal);
    const iterator = requests[Symbol.asyncIterator]();
    for (;;) {
      const step = await unlessAborted(iterator.next(), signal, "no");
      if (step.done) return;
      yield { validHost: step.value.host, originalRequest: step.value, messageResponse: respond(step.value) };
    }
  };
}

function notFound(what: string): Response {
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage: `there is no ${what}` } };
}

/** Returns the full names of everything that a file declares. */
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

/** Returns the file and all its dependencies, so that the client needs no second request. */
function withDependencies(file: DescFile): Uint8Array[] {
  const files = new Set<DescFile>();
  const add = (one: DescFile): void => {
    if (files.has(one)) return;
    files.add(one);
    one.dependencies.forEach(add);
  };
  add(file);
  return [...files].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}
