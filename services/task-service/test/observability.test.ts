import { testObservability } from '@task-manager/testing/observability';
import { subject } from './subject.ts';

testObservability(subject);
