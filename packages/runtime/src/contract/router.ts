/** The contract as a route table: path → the operations of that path. */
import type { Contract, Operation } from './document.ts';

export interface Resource {
  parameterNames: string[];
  operations: Map<string, Operation>;
  allow: string;
}

export interface Route {
  resource: Resource;
  /** Path parameters as received, still percent-encoded. */
  params: Record<string, string>;
}

/** Finds a path (without its query), under any of the contract's servers. */
export type Router = (path: string) => Route | undefined;

/** Matching costs a step for each segment, however many paths there are. Case and a trailing slash count. */
export function createRouter({ basePaths, operations }: Contract): Router {
  const root: Node = { children: new Map() };
  for (const path of new Set(operations.map((each) => each.path))) {
    const resource = resourceOf(
      path,
      operations.filter((each) => each.path === path),
    );
    for (const basePath of basePaths) nodeAt(root, basePath + path).resource = resource;
  }
  return (path) => {
    const values: string[] = [];
    const resource = find(root, path.slice(1).split('/'), 0, values);
    return resource && { resource, params: paramsOf(resource, values) };
  };
}

function find(node: Node, segments: string[], index: number, values: string[]): Resource | undefined {
  const segment = segments[index];
  if (segment === undefined) return node.resource;
  const child = node.children.get(segment);
  const found = child && find(child, segments, index + 1, values);
  if (found || !node.parameter || segment === '') return found;
  values.push(segment);
  return find(node.parameter, segments, index + 1, values) ?? (values.pop(), undefined);
}

interface Node {
  children: Map<string, Node>;
  parameter?: Node;
  resource?: Resource;
}

function nodeAt(root: Node, path: string): Node {
  return path
    .slice(1)
    .split('/')
    .reduce<Node>((node, segment) => {
      if (segment.startsWith('{')) return (node.parameter ??= { children: new Map() });
      const child = node.children.get(segment) ?? { children: new Map() };
      node.children.set(segment, child);
      return child;
    }, root);
}

function paramsOf({ parameterNames }: Resource, values: string[]): Record<string, string> {
  const params: Record<string, string> = {};
  parameterNames.forEach((name, index) => (params[name] = values[index] ?? ''));
  return params;
}

function resourceOf(path: string, operations: Operation[]): Resource {
  const methods = operations.map(({ method }) => method);
  return {
    parameterNames: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
    operations: new Map(operations.map((operation) => [operation.method, operation])),
    allow: [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', '),
  };
}
