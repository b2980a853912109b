import { testConditionalRequests } from '@task-manager/testing/etag';
import { testFailures } from '@task-manager/testing/failures';
import { testConventions } from '@task-manager/testing/conventions';
import { testFraming } from '@task-manager/testing/framing';
import { testHeaders } from '@task-manager/testing/headers';
import { testIdempotency } from '@task-manager/testing/idempotency';
import { subject } from './subject.ts';

testConventions(subject);
testFailures(subject);
testFraming(subject);
testConditionalRequests(subject);
testIdempotency(subject);
testHeaders(subject);
