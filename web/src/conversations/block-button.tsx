import type { IconNode } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import type { Block } from '../../../src/client/index.ts'
import { t } from '../i18n.ts'
import { client } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Confirm } from '../ui/confirm.tsx'

async function isBlocked(userId: string): Promise<boolean> {
  let cursor: string | undefined
  do {
    const query = new URLSearchParams({ limit: '100', ...(cursor !== undefined && { cursor }) })
    const page = await client.rest.request<{ items: Block[]; nextCursor?: string }>('GET', `/v1/me/blocks?${query}`)
    if (page.items.some(({ id }) => id === userId)) return true
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return false
}

/** Blocks the other of a direct conversation, or takes that back; nothing until it is known which of the two. */
export function BlockButton({ userId, name, icon }: { userId: string; name: string; icon: IconNode }) {
  const [isNow, setNow] = useState<boolean>()
  const [isAsking, setAsking] = useState(false)
  useEffect(() => {
    isBlocked(userId).then(setNow, () => {})
  }, [userId])
  if (isNow === undefined) return null
  const path = `/v1/me/blocks/${userId}`
  const unblock = async () => {
    await client.rest.request('DELETE', path)
    setNow(false)
  }
  const block = async () => {
    await client.rest.request('POST', path, {})
    setNow(true)
    say(t('conversations:blocked', { name }))
  }
  return (
    <>
      <Button kind={isNow ? 'plain' : 'danger'} icon={icon} onPress={isNow ? unblock : () => setAsking(true)}>
        {t(isNow ? 'conversations:unblock' : 'conversations:block')}
      </Button>
      {isAsking && (
        <Confirm
          title={t('conversations:blockTitle', { name })}
          text={t('conversations:blockText')}
          label={t('conversations:block')}
          onConfirm={block}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
