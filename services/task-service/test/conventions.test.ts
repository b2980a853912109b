import { editsSafely } from '@task-manager/testing/etag';
import { failsWell } from '@task-manager/testing/failures';
import { holdsToConventions } from '@task-manager/testing/conventions';
import { readsOnlyHttp } from '@task-manager/testing/framing';
import { sendsItsHeaders } from '@task-manager/testing/headers';
import { repeatsSafely } from '@task-manager/testing/idempotency';
import { subject } from './subject.ts';

holdsToConventions(subject);
failsWell(subject);
readsOnlyHttp(subject);
editsSafely(subject);
repeatsSafely(subject);
sendsItsHeaders(subject);
