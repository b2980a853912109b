/** Adds code samples, try-it links and links to the problem pages to a contract. */
import {
  resolve,
  type Contract,
  type Document,
  type DocumentOperation,
  type DocumentResponse,
} from '../contract/document.ts';
import { samplesOf, type Sample } from './samples.ts';

/** The document that Redoc renders; clients download the contract unchanged. */
export function referenceOf({ document, operations }: Contract): Document {
  const reference = structuredClone(document);
  for (const operation of operations) {
    const extended = reference.paths[operation.path]?.[
      operation.method.toLowerCase() as 'get'
    ] as Extended<DocumentOperation>;
    extended.description += `\n\n[Try it](#try/${operation.operationId})`;
    extended['x-codeSamples'] = samplesOf(operation, document);
  }
  for (const response of Object.values(reference.components.responses)) linkProblems(response as never, reference);
  return reference;
}

type Extended<Part> = Part & { 'x-codeSamples'?: Sample[]; 'x-summary'?: string };

/** Titles a response with its problems and links each to its page. */
function linkProblems(response: Extended<DocumentResponse>, document: Document): void {
  const examples = Object.values(response.content?.['application/problem+json']?.examples ?? {});
  const problems = examples.map((each) => resolve(document, each).value);
  if (problems.length === 0) return;
  response['x-summary'] = problems.map(({ title }) => String(title)).join(', or ');
  const links = problems.map(({ title, type }) => `[${String(title)}: cause and fix](${String(type)})`);
  response.description = [response.description, ...links].join('\n\n');
}
