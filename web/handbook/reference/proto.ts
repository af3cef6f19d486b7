/** The RPCs and messages of log.v1, from proto/log/v1/log.proto: buf reads the file, the comments are its comments. */
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createFileRegistry,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  ScalarType,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { permissionOfPath } from "../../../src/api/calls/method-permissions.ts";
import { anchorOf } from "../markdown.ts";
import { code, plain, table } from "./table.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const buf = join(root, "node_modules/.bin/buf");

interface Contract {
  readonly file: DescFile;
  /** The comment above the thing at this path of the file descriptor (SourceCodeInfo.Location.path). */
  comment(path: readonly number[]): string;
}

let read: Contract | undefined;

function contract(): Contract {
  if (read !== undefined) return read;
  const args = [
    "build",
    "--as-file-descriptor-set",
    "--path",
    "proto/log/v1/log.proto",
    "-o",
    "-#format=binpb",
  ];
  const set = fromBinary(FileDescriptorSetSchema, execFileSync(buf, args, { cwd: root, maxBuffer: 2 ** 26 }));
  const file = createFileRegistry(set).getFile("log/v1/log.proto");
  if (file === undefined) throw new Error("buf built no log/v1/log.proto");
  const comments = new Map(
    file.proto.sourceCodeInfo?.location.map(({ path, leadingComments }) => [path.join(), leadingComments]),
  );
  read = { file, comment: (path) => plain((comments.get(path.join()) ?? "").trim().replaceAll(/^ /gm, "")) };
  return read;
}

/** Fields of the messages of descriptor.proto that lead to a comment. */
const pathOf = { service: 6, method: 2, message: 4, field: 2, enum: 5, value: 2 } as const;

export function services(): string {
  const { file, comment } = contract();
  return file.services
    .map((service, at) => {
      const above = [pathOf.service, at];
      const methods = service.methods.map((method, of) =>
        methodSection(service, method, comment([...above, pathOf.method, of])),
      );
      return [`## ${service.typeName}`, comment(above), ...methods].join("\n\n");
    })
    .join("\n\n");
}

function methodSection(service: DescService, method: DescMethod, comment: string): string {
  const path = `/${service.typeName}/${method.name}`;
  const { action, ofLog } = permissionOfPath(path) ?? {};
  const kind = {
    unary: ["", ""],
    server_streaming: ["", "stream of "],
    client_streaming: ["stream of ", ""],
    bidi_streaming: ["stream of ", "stream of "],
  } as const;
  const [streamIn, streamOut] = kind[method.methodKind];
  const permission =
    action === undefined
      ? "none: any authenticated caller"
      : `${code(action)}${ofLog === true ? " of the log" : ""}`;
  const isGet = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const rows = [
    ["path", `${code(`POST ${path}`)}${isGet ? ", with Connect also GET" : ""}`],
    ["request", `${streamIn}${link(method.input)}`],
    ["response", `${streamOut}${link(method.output)}`],
    ["permission", permission],
  ];
  return `### ${service.name}.${method.name}\n\n${comment}\n\n${table(["", ""], rows)}`;
}

export function messages(): string {
  const { file, comment } = contract();
  const ofMessages = file.messages.map((message, at) =>
    messageSection(message, [pathOf.message, at], comment),
  );
  const ofEnums = file.enums.map((one, at) => enumSection(one, [pathOf.enum, at], comment));
  return [...ofMessages, ...ofEnums].join("\n\n");
}

function messageSection(message: DescMessage, path: readonly number[], comment: Contract["comment"]): string {
  const order = new Map(message.proto.field.map(({ number }, at) => [number, at]));
  const rows = message.fields.map((field) => [
    String(field.number),
    code(field.name),
    typeOf(field),
    [
      comment([...path, pathOf.field, order.get(field.number)!]),
      field.oneof === undefined ? "" : `One of the fields of ${code(field.oneof.name)}.`,
    ]
      .filter((text) => text !== "")
      .join(" "),
  ]);
  const fields =
    rows.length === 0 ? "It has no fields." : table(["number", "field", "type", "meaning"], rows);
  return [`### ${message.name}`, comment(path), fields].filter((text) => text !== "").join("\n\n");
}

function enumSection(one: DescEnum, path: readonly number[], comment: Contract["comment"]): string {
  const rows = one.values.map((value, at) => [
    String(value.number),
    code(value.name),
    comment([...path, pathOf.value, at]),
  ]);
  return [`### ${one.name}`, comment(path), table(["number", "value", "meaning"], rows)]
    .filter((text) => text !== "")
    .join("\n\n");
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case "list":
      return `list of ${elementOf(field)}`;
    case "map":
      return `map from ${ScalarType[field.mapKey].toLowerCase()} to ${elementOf(field)}`;
    default:
      return `${field.proto.proto3Optional ? "optional " : ""}${elementOf(field)}`;
  }
}

function elementOf({ message, enum: one, scalar }: DescField): string {
  const named = message ?? one;
  return named === undefined ? ScalarType[scalar!].toLowerCase() : link(named);
}

/** A link to a type of this file; the name of any other. */
const link = (type: DescMessage | DescEnum): string =>
  type.file.name === "log/v1/log" ? `[${type.name}](#${anchorOf(type.name)})` : code(type.typeName);
