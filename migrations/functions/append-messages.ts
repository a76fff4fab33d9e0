/**
 * The send path: writes a group of messages in one round trip and one transaction. It leaves a row in `message_triggers`
 * for each message that an agent may have to answer: any in a direct or assistant conversation with agents, those that
 * mention somebody or reply in a group with agents.
 *
 * `batch` is a JSON array of { n, conversation, sender, id, client, hash, type, content, reply, source, names,
 * attachments, story }: n numbers the items, hash is hex, type may be absent, source is the { conversation, id } of a
 * message to forward, names are the lower-case usernames mentioned, attachments are ids in order, story is the id of one
 * that the message answers. Answered per item, by n:
 *   seqs, changes                    what was stored, an array of each; 0 where it was not
 *   refused   [[n, why], …]          busy: the conversation is locked by someone else, ask again; absent: no such
 *                                    conversation for this sender; reply: the message replied to is not in it;
 *                                    source: the sender cannot read the message to forward; blocked: one of the two of
 *                                    a direct conversation has blocked the other; attachment: one is not the sender's,
 *                                    or not there; kind: the attachments are not of the type that is given
 *   repeated  [{ n, same, id, seq, change, at }, …] the client id was used before, with the same input or another
 *   replies   [{ n, id, seq, sender, excerpt }, …]  what stored items reply to
 *   forwards  [{ n, content, from }, …]             what stored items forward
 *   mentions  [[n, user], …]
 *   types     what stored items are, an array: text, or what their attachments are, `file` where they are several things
 *   attachments [{ n, facts }, …]  of stored items; the facts of each in their order, as message.presenter.ts reads them
 *   members   { conversation: members_change, as text }
 *   asked     [conversation, …] those with a new trigger
 *   at        the time of all stored items
 *
 * It decides item by item, in a loop, each look-up one row by its key; what it writes is written by one statement a
 * table, since starting a statement costs as much as several rows of it. Plain messages where nothing stands against
 * them take a shorter way, append-plain-messages.ts, and come here only when something did.
 *
 * A session keeps its plans, which may have been made while the tables were empty and any way looked as good as any
 * other. So the planner is left no choice: only indexes, only nested loops, and a client id is looked up as the first
 * row from its key on, in the order of the one index that has that key; a narrower condition would open
 * others to it, and did.
 *
 * Locks are taken without waiting, in the order of ids: a row that someone holds for long does not hold up the others.
 * Under read committed each statement sees what was committed before it began, so what is read after the lock holds:
 * who participates, which client ids are used, the counters.
 */
export const appendMessages = `create or replace function append_messages(batch json) returns json language plpgsql
set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  stamp constant timestamptz := date_trunc('milliseconds', clock_timestamp());
  item record;
  other record;
  conversation uuid;
  verdict text;
  seq_before int;
  seq_now int;
  change_now int;
  members_now int;
  read_before int;
  has_agents boolean;
  is_group boolean;
  is_blocked boolean;
  kinds text[];
  facts json;
  gone_at timestamptz;
  forwarded jsonb;
  -- by n + 1; 0: not stored
  seqs int[] := array_fill(0, array[json_array_length(batch)]);
  changes int[] := seqs;
  types text[] := array_fill(''::text, array[json_array_length(batch)]);
  stored int := 0;
  -- items whose sender had not read what stood before
  behind int[] := '{}';
  -- conversations to move on
  moved uuid[] := '{}';
  moved_seqs int[] := '{}';
  moved_changes int[] := '{}';
  members text[] := '{}';
  refused json[] := '{}';
  repeated json[] := '{}';
  replies json[] := '{}';
  forwards json[] := '{}';
  mentions json[] := '{}';
  -- with the message that they belong to
  attachments json[] := '{}';
  asked uuid[] := '{}';
begin
  for item in
    select * from json_to_recordset(batch) as i (
      n int, conversation uuid, sender uuid, id uuid, client text, hash text, type text, content text, reply uuid,
      source json, names json, attachments json, story uuid
    ) order by i.conversation, i.n
  loop
    if item.conversation is distinct from conversation then
      if seq_now > seq_before then
        moved := moved || conversation;
        moved_seqs := moved_seqs || seq_now;
        moved_changes := moved_changes || change_now;
        members := members || conversation::text || members_now::text;
      end if;
      conversation := item.conversation;
      select c.last_seq, c.last_seq, c.last_change, c.members_change, c.has_agents, c.type = 'group', c.is_blocked
        into seq_before, seq_now, change_now, members_now, has_agents, is_group, is_blocked
        from conversations c where c.id = conversation and c.deleted_at is null for no key update skip locked;
      verdict := case
        when found then null
        when exists (select from conversations c where c.id = conversation and c.deleted_at is null) then 'busy'
        else 'absent'
      end;
    end if;
    if verdict is not null then
      refused := refused || json_build_array(item.n, verdict);
      continue;
    end if;

    select p.last_read_seq, p.left_at into read_before, gone_at from participants p
      where p.conversation_id = conversation and p.user_id = item.sender;
    if not found or gone_at is not null then
      refused := refused || json_build_array(item.n, 'absent');
      continue;
    end if;

    -- a repeated item is told its first result, whatever has become of what it refers to
    select m.conversation_id, m.sender_id, m.client_id, m.id, m.seq, m.created_change, m.client_hash, m.created_at
      into other from messages m
      where (m.conversation_id, m.sender_id, m.client_id) >= (conversation, item.sender, item.client)
      order by m.conversation_id, m.sender_id, m.client_id limit 1;
    if other.client_id = item.client and other.sender_id = item.sender and other.conversation_id = conversation then
      repeated := repeated || json_build_object('n', item.n, 'same', other.client_hash = decode(item.hash, 'hex'),
        'id', other.id, 'seq', other.seq, 'change', other.created_change, 'at', other.created_at);
      continue;
    end if;

    if is_blocked then
      refused := refused || json_build_array(item.n, 'blocked');
      continue;
    end if;

    forwarded := null;
    facts := null;
    if item.source is not null then
      select m.id, m.type, m.content, m.sender_id into other
        from messages m
        join participants p on p.conversation_id = m.conversation_id and p.user_id = item.sender and p.left_at is null
        join conversations c on c.id = m.conversation_id and c.deleted_at is null
        where m.conversation_id = (item.source ->> 'conversation')::uuid and m.id = (item.source ->> 'id')::uuid
          and m.deleted_at is null;
      if not found then
        refused := refused || json_build_array(item.n, 'source');
        continue;
      end if;
      forwarded := jsonb_strip_nulls(jsonb_build_object('messageId', other.id, 'senderId', other.sender_id));
      item.type := other.type;
      item.content := other.content;
      if item.type not in ('text', 'system') then
        -- the source may be deleted at this moment: what it has is held, and counted again when none of it can go any more
        select json_agg(held.facts order by held.position) into facts from (
          select attachment_facts(a) as facts, ma.position
          from message_attachments ma join attachments a on a.id = ma.attachment_id
          where ma.conversation_id = (item.source ->> 'conversation')::uuid and ma.message_id = other.id
          for key share of a
        ) held;
        if facts is null or json_array_length(facts) <> (
          select count(*) from message_attachments ma
          where ma.conversation_id = (item.source ->> 'conversation')::uuid and ma.message_id = other.id
        ) then
          refused := refused || json_build_array(item.n, 'source');
          continue;
        end if;
      end if;
      forwards := forwards || json_build_object('n', item.n, 'content', item.content, 'from', forwarded);
    elsif item.reply is not null then
      select m.id, m.seq, m.sender_id as sender,
        case when m.deleted_at is null then left(m.content, 100) else '' end as excerpt
        into other from messages m where m.conversation_id = conversation and m.id = item.reply;
      if not found then
        refused := refused || json_build_array(item.n, 'reply');
        continue;
      end if;
      replies := replies || json_build_object('n', item.n, 'id', other.id, 'seq', other.seq, 'sender', other.sender,
        'excerpt', other.excerpt);
    end if;
    if item.attachments is not null then
      -- held, so that nothing removes them before the message refers to them
      select array_agg(held.kind), json_agg(held.facts order by held.place) into kinds, facts from (
        select a.kind, attachment_facts(a) as facts, wanted.place
        from json_array_elements_text(item.attachments) with ordinality as wanted (id, place)
        join attachments a on a.id = wanted.id::uuid and a.owner_id = item.sender and a.status = 'ready'
        for key share of a
      ) held;
      if coalesce(array_length(kinds, 1), 0) < json_array_length(item.attachments) then
        refused := refused || json_build_array(item.n, 'attachment');
        continue;
      end if;
      if exists (select from unnest(kinds) as kind where kind <> kinds[1]) then
        kinds := '{file}';
      end if;
      if item.type <> kinds[1] then
        refused := refused || json_build_array(item.n, 'kind');
        continue;
      end if;
      item.type := kinds[1];
    end if;
    item.type := coalesce(item.type, 'text');
    if facts is not null then
      attachments := attachments
        || json_build_object('n', item.n, 'facts', facts, 'conversation', conversation, 'message', item.id);
    end if;

    if read_before < seq_before or seq_now > seq_before then
      behind := behind || item.n;
    end if;
    seq_now := seq_now + 1;
    change_now := change_now + 1;
    seqs[item.n + 1] := seq_now;
    changes[item.n + 1] := change_now;
    types[item.n + 1] := item.type;
    stored := stored + 1;
    if has_agents and (not is_group or item.names is not null or item.reply is not null) then
      insert into message_triggers (conversation_id, seq, message_id) values (conversation, seq_now, item.id);
      if conversation <> all (asked) then
        asked := asked || conversation;
      end if;
    end if;
    if item.names is not null then
      with named as (
        insert into mentions (conversation_id, seq, user_id)
        select conversation, seq_now, u.id
        from users u join participants p on p.conversation_id = conversation and p.user_id = u.id and p.left_at is null
        where lower(u.username) = any (array(select json_array_elements_text(item.names)))
        returning user_id
      )
      select mentions || coalesce(array_agg(json_build_array(item.n, user_id)), '{}') into mentions from named;
    end if;
  end loop;
  if seq_now > seq_before then
    moved := moved || conversation;
    moved_seqs := moved_seqs || seq_now;
    moved_changes := moved_changes || change_now;
    members := members || conversation::text || members_now::text;
  end if;

  if stored > 0 then
    insert into messages (conversation_id, id, seq, change, created_change, sender_id, type, content, reply_to_id,
        forwarded_from, story_id, client_id, client_hash, created_at)
      select i.conversation, i.id, seqs[i.n + 1], changes[i.n + 1], changes[i.n + 1], i.sender, types[i.n + 1],
        coalesce(f.content, i.content), i.reply, f.origin, i.story, i.client, decode(i.hash, 'hex'), stamp
      from json_to_recordset(batch) as i (
        n int, conversation uuid, sender uuid, id uuid, client text, hash text, content text, reply uuid, source json,
        story uuid
      )
      left join lateral (
        select one ->> 'content' as content, (one -> 'from')::jsonb as origin
        from unnest(forwards) as one where i.source is not null and (one ->> 'n')::int = i.n
      ) f on true
      where seqs[i.n + 1] > 0;
    update conversations c set last_seq = g.seq, last_change = g.change, last_message_at = stamp
      from unnest(moved, moved_seqs, moved_changes) as g (id, seq, change) where c.id = g.id;
    update participants p set last_read_seq = greatest(p.last_read_seq, g.seq), last_read_at = stamp, updated_at = stamp
      from (
        select i.conversation, i.sender, max(seqs[i.n + 1]) as seq
        from json_to_recordset(batch) as i (n int, conversation uuid, sender uuid)
        where seqs[i.n + 1] > 0 group by i.conversation, i.sender
      ) g
      where p.conversation_id = g.conversation and p.user_id = g.sender;
  end if;
  if cardinality(attachments) > 0 then
    insert into message_attachments (conversation_id, message_id, position, attachment_id)
      select (one ->> 'conversation')::uuid, (one ->> 'message')::uuid, f.place - 1, (f.fact ->> 'id')::uuid
      from unnest(attachments) as one
      cross join lateral json_array_elements(one -> 'facts') with ordinality as f (fact, place);
  end if;
  -- who writes has read what stood before
  if behind <> '{}' then
    insert into read_receipts (conversation_id, user_id, up_to_seq, read_at)
      select i.conversation, i.sender, max(seqs[i.n + 1]), stamp
      from json_to_recordset(batch) as i (n int, conversation uuid, sender uuid)
      where i.n = any (behind) group by i.conversation, i.sender
      on conflict do nothing;
  end if;
  return json_build_object('at', stamp, 'seqs', seqs, 'changes', changes, 'refused', refused,
    'repeated', repeated, 'replies', replies, 'forwards', forwards, 'mentions', mentions,
    'members', json_object(members), 'asked', asked, 'types', types, 'attachments', attachments);
end $$`
