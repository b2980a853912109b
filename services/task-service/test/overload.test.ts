import { testFastPath } from '@task-manager/testing/fast-path';
import { testRateLimit } from '@task-manager/testing/rate-limit';
import { testOverload } from '@task-manager/testing/overload';
import { subject } from './subject.ts';

testFastPath(subject);
testRateLimit(subject);
testOverload(subject);
