/**
 * The send path for what nearly all messages are: plain text of people, new, in conversations where nothing stands
 * against it. Both functions decide alike and answer alike. What they leave alone is for append_messages, which finds
 * out, message by message, what stands against it:
 *   a conversation that is absent, blocked, locked by someone else, or in which agents answer everything, is left out;
 *   where a sender does not participate, or a client id was used before, nothing is stored at all.
 *
 * Answered: null where nothing was stored; else, by conversation in the order given, { at, seqs, changes, members }: the
 * time of all, last_seq (-1: left out) and last_change before them, and members_change.
 *
 * Plans are settled as append_messages says. Nobody may be asked for by a condition that opens a longer way to the row:
 * participation is looked up by the primary key, and `left_at` looked at afterwards.
 */

const plans = `set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off`

/** One message alone, which is what an idle server sees: statements on one row each start faster than those on many. */
export const appendMessage = `create or replace function append_message(
  conversation uuid, sender uuid, message uuid, client text, hash bytea, body text
) returns json language plpgsql ${plans} as $$
declare
  stamp constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  place record;
  writer record;
begin
  select c.last_seq + 1 as seq, c.last_change + 1 as change, c.members_change into place from conversations c
    where c.id = conversation and c.deleted_at is null and not c.is_blocked and (not c.has_agents or c.type = 'group')
    for no key update skip locked;
  if not found then
    return null;
  end if;
  select p.last_read_seq, p.left_at into writer from participants p
    where p.conversation_id = conversation and p.user_id = sender;
  if not found or writer.left_at is not null then
    return null;
  end if;
  insert into messages (conversation_id, id, seq, change, created_change, sender_id, content, client_id, client_hash,
      created_at)
    values (conversation, message, place.seq, place.change, place.change, sender, body, client, hash, stamp)
    on conflict (conversation_id, sender_id, client_id) do nothing;
  if not found then
    return null;
  end if;
  update conversations c set last_seq = place.seq, last_change = place.change, last_message_at = stamp
    where c.id = conversation;
  update participants p
    set last_read_seq = greatest(p.last_read_seq, place.seq), last_read_at = stamp, updated_at = stamp
    where p.conversation_id = conversation and p.user_id = sender;
  -- who writes has read what stood before
  if writer.last_read_seq < place.seq - 1 then
    insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
      values (conversation, sender, place.seq, stamp) on conflict do nothing;
  end if;
  return json_build_object('at', stamp, 'seqs', array[place.seq - 1], 'changes', array[place.change - 1],
    'members', array[place.members_change]);
end $$`

/**
 * Many messages of many conversations. `rooms` are the conversations and `counts` their numbers of messages; the other
 * arrays have an element a message: `room`, the place of its conversation in `rooms`, `place`, its own among those of
 * its conversation, both from 1, and what is stored. `hashes` has 32 bytes a message.
 *
 * Written first and checked after, by what the statements wrote, since nearly always all is well: then each row is looked
 * up once. A row that was looked up is written by its ctid; where someone else has changed it in between, it is not
 * written: a conversation is left out then, and a participant counts as missing, so that the whole is undone. So it is
 * by a used client id, which breaks its unique constraint.
 */
export const appendPlainMessages = `create or replace function append_plain_messages(
  rooms uuid[], counts int[], room int[], place int[], senders uuid[], ids uuid[], clients text[], hashes bytea,
  contents text[]
) returns json language plpgsql ${plans} as $$
declare
  stamp constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  moved record;
  -- by conversation; -1: left out
  seqs int[] := array_fill(-1, array[cardinality(rooms)]);
  changes int[] := seqs;
  members int[] := seqs;
  expected int := 0;
  written int;
begin
  for moved in
    update conversations c set last_seq = c.last_seq + f.count, last_change = c.last_change + f.count,
        last_message_at = stamp
      from (
        select c.ctid, r.count, r.place from unnest(rooms, counts) with ordinality as r (id, count, place)
        join conversations c on c.id = r.id
        where c.deleted_at is null and not c.is_blocked and (not c.has_agents or c.type = 'group')
        for no key update of c skip locked
      ) f
      where c.ctid = f.ctid
      returning f.place, f.count, c.last_seq - f.count as seq, c.last_change - f.count as change, c.members_change
  loop
    seqs[moved.place] := moved.seq;
    changes[moved.place] := moved.change;
    members[moved.place] := moved.members_change;
    expected := expected + moved.count;
  end loop;
  if expected = 0 then
    return null;
  end if;

  with read as (
    update participants p
      set last_read_seq = greatest(p.last_read_seq, w.seq), last_read_at = stamp, updated_at = stamp
      from (
        select p.ctid, count(*) as messages, max(seqs[i.room] + i.place) as seq,
          bool_or(p.last_read_seq < seqs[i.room] + i.place - 1) as is_behind
        from unnest(senders, room, place) as i (sender, room, place)
        join participants p on p.conversation_id = rooms[i.room] and p.user_id = i.sender
        where seqs[i.room] >= 0
        group by p.ctid
      ) w
      where p.ctid = w.ctid and p.left_at is null
      returning p.conversation_id, p.user_id, w.seq, w.messages, w.is_behind
  ), receipts as (
    -- who writes has read what stood before
    insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
      select conversation_id, user_id, seq, stamp from read where is_behind
      on conflict do nothing
  )
  select sum(messages) into written from read;
  if written is distinct from expected then
    raise sqlstate 'KNOPL';
  end if;

  insert into messages (conversation_id, id, seq, change, created_change, sender_id, content, client_id, client_hash,
      created_at)
    select rooms[i.room], i.id, seqs[i.room] + i.place, changes[i.room] + i.place, changes[i.room] + i.place, i.sender,
      i.content, i.client, substr(hashes, (i.n * 32 - 31)::int, 32), stamp
    from unnest(senders, ids, clients, contents, room, place) with ordinality
      as i (sender, id, client, content, room, place, n)
    where seqs[i.room] >= 0;
  return json_build_object('at', stamp, 'seqs', seqs, 'changes', changes, 'members', members);
exception when unique_violation or sqlstate 'KNOPL' then
  return null;
end $$`
