/**
 * A map whose keys are prefixes. It finds all keys with which a text begins: a radix tree over UTF-16 code units. A search
 * costs at most one step per character of the text, whatever the number of keys.
 */
export class PrefixTree<Value extends object> {
  readonly #root: Node<Value> = { label: "", value: undefined, children: undefined };

  /** Returns the value of `prefix`. Where there is none, `make` provides it. */
  getOrAdd(prefix: string, make: () => Value): Value {
    let node = this.#root;
    for (let at = 0; at < prefix.length; at += node.label.length) {
      const child = node.children?.get(prefix.charCodeAt(at));
      if (child === undefined) {
        node = addChild(node, { label: prefix.slice(at), value: undefined, children: undefined });
        break;
      }
      const shared = sharedLength(child.label, prefix, at);
      if (shared < child.label.length) split(child, shared);
      node = child;
    }
    node.value ??= make();
    return node.value;
  }

  /** The values of all prefixes of `text`, the shortest first. */
  *of(text: string): Iterable<Value> {
    let node: Node<Value> | undefined = this.#root;
    for (let at = 0; node !== undefined && text.startsWith(node.label, at); ) {
      at += node.label.length;
      if (node.value !== undefined) yield node.value;
      node = node.children?.get(text.charCodeAt(at));
    }
  }
}

interface Node<Value> {
  /** What a text continues with here, after the labels of the nodes above. Only the root's is empty. */
  label: string;
  value: Value | undefined;
  /** By the first code unit of their labels. */
  children: Map<number, Node<Value>> | undefined;
}

function addChild<Value>(parent: Node<Value>, child: Node<Value>): Node<Value> {
  parent.children ??= new Map();
  parent.children.set(child.label.charCodeAt(0), child);
  return child;
}

/** Divides a node: the first `length` characters of its label stay, the others go to a node below. */
function split<Value>(node: Node<Value>, length: number): void {
  const below = { ...node, label: node.label.slice(length) };
  node.label = node.label.slice(0, length);
  node.value = undefined;
  node.children = undefined;
  addChild(node, below);
}

/** Returns how many characters of `label` are in `text` from `at` on. */
function sharedLength(label: string, text: string, at: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === text.charCodeAt(at + length)) length++;
  return length;
}
