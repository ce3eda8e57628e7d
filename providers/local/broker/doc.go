// Package broker is the event half of the local host: queues, topics, streams,
// tables, buckets, schedules and the event bus, and the consumers that feed
// them to functions. It knows how events are kept and when they are due, and
// nothing about processes, HTTP fronts or Pulumi.
//
// # What is stored where
//
// Queues, topics, streams and the events of schedules, buckets and the bus lie
// in an embedded NATS JetStream server without a port; tables, positions,
// schedules and the index of buckets in one bbolt file; objects in plain files.
// Each is opened by the first resource that needs it. A sender is answered once
// its message would survive the death of the process; messages in JetStream
// reach the disk itself within ten seconds. Which resources exist is not
// stored: the owner applies them all again after Open.
//
// # Delivery
//
// Everything is delivered at least once. A call holds its events, however long
// it takes; an event whose process was killed comes again after the queue's
// visibility timeout, other events after 15 seconds, and at once after Close.
// Attempts are apart by a pause that doubles, with some chance, up to a limit.
//
//   - A queue's message is tried maxReceives times, then moves to the queue's
//     dead-letter queue. Without one it is tried until its retention is over.
//   - An event of a topic, a schedule, a bucket or the bus is tried as the
//     function's retries say, then moves to the function's dead-letter queue.
//     Without one it is reported and dropped.
//   - A stream's record or a table's change is tried, and holds up its shard,
//     until it leaves the log; or, when the function has a dead-letter queue, as
//     the function's retries say.
//
// A FIFO queue has one message of a group in flight at a time. A dead letter
// has attributes that name its origin, the function, the reason and the count;
// its body is that of the message, or the whole event as JSON.
package broker
