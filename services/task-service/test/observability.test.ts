import { canBeWatched } from '@task-manager/testing/observability';
import { subject } from './subject.ts';

canBeWatched(subject);
