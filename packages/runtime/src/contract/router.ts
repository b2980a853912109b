/** The contract as a route table: the address of a request → the operations that it has there. */
import type { Contract, Operation } from './document.ts';

/** What an address has, looked up in the contract once. */
export interface Resource {
  /** The names of the parameters in its path, in order. */
  names: string[];
  /** By method. */
  operations: Map<string, Operation>;
  /** The methods, as `Allow` lists them. */
  allowed: string;
}

export interface Route {
  resource: Resource;
  /** The parameters of the path, as they came: with escapes. */
  params: Record<string, string>;
}

export type RouteOf = (path: string) => Route | undefined;

/**
 * Makes the function that finds what a path (without its query) has, under any of the contract's servers. It takes a step
 * for each segment, so that it costs the same however many paths there are. Case and the last slash count.
 */
export function routesOf({ basePaths, operations }: Contract): RouteOf {
  const root: Node = { next: new Map() };
  for (const path of new Set(operations.map((each) => each.path))) {
    const resource = resourceOf(
      path,
      operations.filter((each) => each.path === path),
    );
    for (const basePath of basePaths) place(root, basePath + path).resource = resource;
  }
  return (path) => {
    const given: string[] = [];
    const resource = find(root, path.slice(1).split('/'), 0, given);
    return resource && { resource, params: named(resource.names, given) };
  };
}

/** Notes in `given` the segments that stand for parameters. What the contract has by name comes before a parameter. */
function find(node: Node, segments: string[], index: number, given: string[]): Resource | undefined {
  const segment = segments[index];
  if (segment === undefined) return node.resource;
  const next = node.next.get(segment);
  const found = next && find(next, segments, index + 1, given);
  if (found || !node.parameter || segment === '') return found;
  given.push(segment);
  return find(node.parameter, segments, index + 1, given) ?? (given.pop(), undefined);
}

/** A place in the tree of all paths. */
interface Node {
  next: Map<string, Node>;
  parameter?: Node;
  resource?: Resource;
}

function place(root: Node, path: string): Node {
  return path
    .slice(1)
    .split('/')
    .reduce<Node>((node, segment) => {
      if (segment.startsWith('{')) return (node.parameter ??= { next: new Map() });
      const next = node.next.get(segment) ?? { next: new Map() };
      node.next.set(segment, next);
      return next;
    }, root);
}

function named(names: string[], given: string[]): Record<string, string> {
  const params: Record<string, string> = {};
  names.forEach((name, index) => (params[name] = given[index] ?? ''));
  return params;
}

function resourceOf(path: string, operations: Operation[]): Resource {
  const methods = operations.map(({ method }) => method);
  return {
    names: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
    operations: new Map(operations.map((operation) => [operation.method, operation])),
    allowed: [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', '),
  };
}
