/** The contract as the reference shows it: with samples, with a way to try each operation, with what problems mean. */
import {
  resolve,
  type Contract,
  type Document,
  type DocumentOperation,
  type DocumentResponse,
} from '../contract/document.ts';
import { samplesOf, type Sample } from './samples.ts';

/** What Redoc is given in the place of the contract, which is served as it is. */
export function referenceOf({ document, operations }: Contract): Document {
  const reference = structuredClone(document);
  for (const operation of operations) {
    const shown = reference.paths[operation.path]?.[
      operation.method.toLowerCase() as 'get'
    ] as Shown<DocumentOperation>;
    shown.description += `\n\n[Try it](#try/${operation.operationId})`;
    shown['x-codeSamples'] = samplesOf(operation, document);
  }
  for (const response of Object.values(reference.components.responses)) explainProblems(response as never, reference);
  return reference;
}

type Shown<Part> = Part & { 'x-codeSamples'?: Sample[]; 'x-summary'?: string };

/** A problem is shown by its title; opened, it leads to the page that its `type` names. */
function explainProblems(response: Shown<DocumentResponse>, document: Document): void {
  const examples = Object.values(response.content?.['application/problem+json']?.examples ?? {});
  const problems = examples.map((each) => resolve(document, each).value);
  if (problems.length === 0) return;
  response['x-summary'] = problems.map(({ title }) => String(title)).join(', or ');
  const links = problems.map(({ title, type }) => `[${String(title)}: what it means](${String(type)})`);
  response.description = [response.description, ...links].join('\n\n');
}
