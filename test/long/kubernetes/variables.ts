/** The variables and the command line of a container, as the kubelet makes them. */
import type { Container, Labels, Service, Variable } from "../../support/deploy/manifests.ts";

/** Replaces `$(NAME)` by the value of a known variable; `$$` stands for `$`. */
const expanded = (text: string, known: Labels): string =>
  text.replace(/\$(\$|\(([\w.-]+)\))/g, (whole, rest: string, name: string) =>
    rest === "$" ? "$" : (known[name] ?? whole),
  );

/** The command line. The image's entry point and arguments are used where the manifest does not state them. */
export function commandOf(
  { command, args }: Container,
  image: { readonly entrypoint: readonly string[]; readonly command: readonly string[] },
  variables: Labels,
): string[] {
  const words = [...(command ?? image.entrypoint), ...(args ?? (command === undefined ? image.command : []))];
  return words.map((word) => expanded(word, variables));
}

/** The variables of all services of the namespace, which a pod gets unless it declines. */
export function serviceVariables(services: readonly Service[]): Labels {
  const variables: Record<string, string> = {};
  for (const { metadata, spec } of services) {
    if (spec.clusterIP === "None") continue;
    const prefix = metadata.name.toUpperCase().replaceAll("-", "_");
    const port = spec.ports[0]?.port ?? 0;
    variables[`${prefix}_SERVICE_HOST`] = "10.96.0.10";
    variables[`${prefix}_SERVICE_PORT`] = String(port);
    variables[`${prefix}_PORT`] = `tcp://10.96.0.10:${port}`;
    variables[`${prefix}_PORT_${port}_TCP`] = `tcp://10.96.0.10:${port}`;
  }
  return variables;
}

/** @throws Error for a variable of another kind */
export function variablesOf(
  env: readonly Variable[],
  from: {
    readonly fields: Labels;
    readonly secret: (name: string, key: string) => string;
    readonly before: Labels;
  },
): Labels {
  const variables: Record<string, string> = { ...from.before };
  for (const { name, value, valueFrom } of env) {
    const { fieldRef, secretKeyRef } = valueFrom ?? {};
    if (value !== undefined) variables[name] = expanded(value, variables);
    else if (fieldRef !== undefined) variables[name] = from.fields[fieldRef.fieldPath] ?? missing(name);
    else if (secretKeyRef !== undefined) variables[name] = from.secret(secretKeyRef.name, secretKeyRef.key);
    else missing(name);
  }
  return variables;
}

function missing(name: string): never {
  throw new Error(`the variable ${name} has a source that is not supported here`);
}
