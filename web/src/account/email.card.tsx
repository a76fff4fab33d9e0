import { BadgeCheck, MailWarning } from 'lucide'
import { useState } from 'preact/hooks'
import { t } from '../i18n.ts'
import { client, me, reloadMe } from '../state/session.ts'
import { say } from '../state/toasts.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Icon } from '../ui/icon.tsx'
import { type Meanings, Problem, useSending } from '../ui/problem.tsx'
import { Card } from './card.tsx'
import { PasswordProof, useProof } from './password-proof.tsx'

/** One's address: whether it is confirmed, and what gives or changes it. */
export function EmailCard() {
  const { email, emailVerified } = me.value ?? {}
  const [isChanging, setChanging] = useState(false)
  return (
    <Card title={t('account:email')} {...(!email && { hint: t('account:noEmail') })}>
      {email && (
        <p class="settings-row">
          <bdi>{email}</bdi>
          <span class={emailVerified ? 'settings-good' : 'settings-due'}>
            <Icon of={emailVerified ? BadgeCheck : MailWarning} size={16} />
            {emailVerified ? t('account:verified') : t('account:unverified')}
          </span>
        </p>
      )}
      {email && !emailVerified && !isChanging && <Verification />}
      <Change isOpen={isChanging} onOpen={setChanging} />
    </Card>
  )
}

/** What refusals of a code mean; one that is not of six digits is as wrong as another. */
const codeMeanings = (): Meanings => ({
  invalid_request: t('account:wrongCode'),
  unprocessable: t('account:wrongCode'),
  gone: t('account:codeGone'),
})

/** Confirms the address that the account was begun with. */
function Verification() {
  const [code, setCode] = useState('')
  const { problem, isBusy, send } = useSending(codeMeanings())

  async function verify(): Promise<void> {
    const isRight = await send(async () => {
      await client.rest.request('POST', '/v1/auth/verify-email', { code: code.trim() })
      await reloadMe()
    })
    if (isRight) say(t('account:nowVerified'))
  }

  async function resend(): Promise<void> {
    if (await send(() => client.rest.request('POST', '/v1/auth/verify-email/resend', {}))) say(t('account:codeSent'))
  }

  return (
    <Form onSend={verify} label={t('account:verify')}>
      <CodeField value={code} onValue={setCode} />
      <Problem text={problem} />
      <div class="actions">
        <Button disabled={isBusy} onPress={resend}>
          {t('account:resend')}
        </Button>
        <Button kind="primary" type="submit" disabled={isBusy || !code}>
          {t('account:verify')}
        </Button>
      </div>
    </Form>
  )
}

/** Gives the account another address, or its first one: a code is mailed there, and takes it. */
function Change({ isOpen, onOpen }: { isOpen: boolean; onOpen(isOpen: boolean): void }) {
  const [newEmail, setNewEmail] = useState('')
  const [password, setPassword] = useState('')
  const [isMailed, setMailed] = useState(false)
  const [code, setCode] = useState('')
  const { problem: refusal, isBusy: isAsking, send: ask } = useProof({ conflict: t('account:emailSame') })
  const { problem, isBusy, send } = useSending({ ...codeMeanings(), conflict: t('account:emailTaken') })
  const label = me.value?.email ? t('account:changeEmail') : t('account:addEmail')

  async function begin(): Promise<void> {
    const input = { newEmail: newEmail.trim(), ...(password && { password }) }
    if (await ask(() => client.rest.request('POST', '/v1/auth/change-email', input))) setMailed(true)
  }

  async function confirm(): Promise<void> {
    const isTaken = await send(async () => {
      await client.rest.request('POST', '/v1/auth/change-email/confirm', { code: code.trim() })
      await reloadMe()
    })
    if (!isTaken) return
    say(t('account:nowVerified'))
    for (const clear of [setNewEmail, setPassword, setCode]) clear('')
    setMailed(false)
    onOpen(false)
  }

  if (!isOpen) return <Button onPress={() => onOpen(true)}>{label}</Button>
  if (isMailed)
    return (
      <Form onSend={confirm} label={label}>
        <p>{t('account:codeMailed', { email: newEmail })}</p>
        <CodeField value={code} onValue={setCode} />
        <Problem text={problem} />
        <div class="actions">
          <Button onPress={() => setMailed(false)}>{t('common:back')}</Button>
          <Button kind="primary" type="submit" disabled={isBusy || !code}>
            {t('account:verify')}
          </Button>
        </div>
      </Form>
    )
  return (
    <Form onSend={begin} label={label}>
      <Field
        label={t('account:newEmail')}
        type="email"
        autocomplete="email"
        value={newEmail}
        onValue={setNewEmail}
        maxLength={254}
        isRequired
      />
      <PasswordProof value={password} onValue={setPassword} />
      <Problem text={refusal} />
      <div class="actions">
        <Button onPress={() => onOpen(false)}>{t('common:cancel')}</Button>
        <Button kind="primary" type="submit" disabled={isAsking || !newEmail}>
          {t('account:mailCode')}
        </Button>
      </div>
    </Form>
  )
}

function CodeField({ value, onValue }: { value: string; onValue(code: string): void }) {
  return (
    <Field
      label={t('account:code')}
      autocomplete="one-time-code"
      value={value}
      onValue={onValue}
      maxLength={20}
      hint={t('account:codeHint')}
      isRequired
    />
  )
}
