import { canBeWatched } from '../../runtime/test/watching.ts';
import { subject } from './subject.ts';

canBeWatched(subject);
