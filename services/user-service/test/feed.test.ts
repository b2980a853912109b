import { testFeed } from '@task-manager/testing/feed';
import { subject } from './subject.ts';

testFeed(subject);
