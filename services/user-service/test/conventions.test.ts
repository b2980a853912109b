import { editsSafely } from '../../runtime/test/conditional.ts';
import { failsWell } from '../../runtime/test/failing.ts';
import { holdsToConventions } from '../../runtime/test/conventions.ts';
import { readsOnlyHttp } from '../../runtime/test/framing.ts';
import { sendsItsHeaders } from '../../runtime/test/headers.ts';
import { repeatsSafely } from '../../runtime/test/idempotency.ts';
import { subject } from './subject.ts';

holdsToConventions(subject);
failsWell(subject);
readsOnlyHttp(subject);
editsSafely(subject);
repeatsSafely(subject);
sendsItsHeaders(subject);
