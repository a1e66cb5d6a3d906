# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Made by tools/completions.

_mtls_agent_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_mtls_agent_paths()
{
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_mtls_agent()
{
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' word
    local commands='fetch inspect probe attest run status healthcheck doctor check-config purge version help'
    local options='--secret --dir --root --lock-dir --owner --deadline --memory-lock --sandbox --log-level --log-format --log-file --config --help'

    # Readline takes the equals sign for a word of its own.
    [ "$cur" != '=' ] || cur=''
    [ "$previous" != '=' ] || previous=${COMP_WORDS[COMP_CWORD - 2]}
    COMPREPLY=()
    case $previous in
    --writable-dir)
        _mtls_agent_words 'refuse warn'
        return
        ;;
    --tls-versions)
        _mtls_agent_words '1.2,1.3 1.3 1.2'
        return
        ;;
    --tls-suites)
        _mtls_agent_words 'strict compatible'
        return
        ;;
    --rehearse)
        _mtls_agent_words 'refuse require off'
        return
        ;;
    --if-unreachable)
        _mtls_agent_words 'fail keep'
        return
        ;;
    --client-chain)
        _mtls_agent_words 'warn require'
        return
        ;;
    --attest)
        _mtls_agent_words 'off report require'
        return
        ;;
    --attest-profile)
        _mtls_agent_words 'nautilus nitriding evervault opensecret marlin generic'
        return
        ;;
    --metrics-format)
        _mtls_agent_words 'prometheus emf'
        return
        ;;
    --memory-lock)
        _mtls_agent_words 'require prefer'
        return
        ;;
    --sandbox)
        _mtls_agent_words 'on off'
        return
        ;;
    --log-level)
        _mtls_agent_words 'debug info warning error'
        return
        ;;
    --log-format)
        _mtls_agent_words 'text json'
        return
        ;;
    --ca-bundle | --attest-root | --attest-pins | --status-file | --metrics-file | --log-file | --config)
        _mtls_agent_paths -f
        return
        ;;
    --dir | --root | --lock-dir)
        _mtls_agent_paths -d
        return
        ;;
    --secret | --endpoint | --region | --fallback-region | --profile | --role-arn | --role-session-name | --role-external-id | --version-stage | --version-id | --endpoint-url | --proxy | --no-proxy | --owner | --key-mode | --cert-mode | --dir-mode | --health-path | --attest-pcr | --attest-path | --attest-field | --attest-binding | --attest-max-age | --attest-leeway | --attest-interval | --at | --expect-subject | --expect-san | --expect-ca | --forbid-version | --ca-overlap | --deadline | --interval | --probe-interval | --probe-full-every | --wave | --on-change-exec | --on-change-signal | --on-change-timeout | --keep-previous | --count | --request | --expires-within | --as-user | --max-fetch-age | --min-endpoints)
        return
        ;;
    esac
    for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
        case " $commands " in
        *" $word "*)
            command=$word
            break
            ;;
        esac
    done
    case $command in
    fetch) options+=' --endpoint --writable-dir --region --fallback-region --profile --role-arn --role-session-name --role-external-id --version-stage --version-id --endpoint-url --allow-plaintext-endpoint --proxy --no-proxy --ca-bundle --key-mode --cert-mode --dir-mode --health-path --allow-cn --allow-not-mutual --tls-versions --tls-suites --rehearse --if-unreachable --client-chain --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-root --attest-pins --expect-subject --expect-san --expect-ca --forbid-version --ca-overlap --dry-run --rollback --interval --on-change-exec --on-change-signal --on-change-timeout --keep-previous --combined' ;;
    inspect) options+=' --key-mode --cert-mode --client-chain --expect-subject --expect-san --expect-ca --expires-within --json' ;;
    probe) options+=' --endpoint --health-path --allow-cn --allow-not-mutual --tls-versions --tls-suites --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-root --count --request --show-chain --json' ;;
    attest) options+=' --endpoint --allow-cn --allow-not-mutual --tls-versions --tls-suites --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-root --at --json' ;;
    run) options+=' --endpoint --writable-dir --region --fallback-region --profile --role-arn --role-session-name --role-external-id --version-stage --version-id --endpoint-url --allow-plaintext-endpoint --proxy --no-proxy --ca-bundle --key-mode --cert-mode --dir-mode --health-path --allow-cn --allow-not-mutual --tls-versions --tls-suites --rehearse --if-unreachable --client-chain --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-interval --attest-root --attest-pins --expect-subject --expect-san --expect-ca --forbid-version --ca-overlap --dry-run --rollback --interval --probe-interval --probe-full-every --wave --rollback-on-failure --on-change-exec --on-change-signal --on-change-timeout --keep-previous --combined --status-file --metrics-file --metrics-format' ;;
    status) options+=' --json --status-file' ;;
    healthcheck) options+=' --attested --expires-within --json --status-file --max-fetch-age --min-endpoints' ;;
    doctor) options+=' --endpoint --writable-dir --region --fallback-region --profile --role-arn --role-session-name --role-external-id --version-stage --version-id --endpoint-url --allow-plaintext-endpoint --proxy --no-proxy --ca-bundle --key-mode --cert-mode --dir-mode --health-path --allow-cn --allow-not-mutual --tls-versions --tls-suites --rehearse --if-unreachable --client-chain --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-interval --attest-root --attest-pins --expect-subject --expect-san --expect-ca --forbid-version --ca-overlap --dry-run --rollback --interval --probe-interval --probe-full-every --wave --rollback-on-failure --on-change-exec --on-change-signal --on-change-timeout --keep-previous --combined --count --request --show-chain --expires-within --as-user --json --status-file --metrics-file --metrics-format' ;;
    check-config) options+=' --endpoint --writable-dir --region --fallback-region --profile --role-arn --role-session-name --role-external-id --version-stage --version-id --endpoint-url --allow-plaintext-endpoint --proxy --no-proxy --ca-bundle --key-mode --cert-mode --dir-mode --health-path --allow-cn --allow-not-mutual --tls-versions --tls-suites --rehearse --if-unreachable --client-chain --attest --attest-pcr --attest-profile --attest-path --attest-field --attest-binding --attest-max-age --attest-leeway --attest-interval --attest-root --attest-pins --attested --at --expect-subject --expect-san --expect-ca --forbid-version --ca-overlap --dry-run --rollback --interval --probe-interval --probe-full-every --wave --rollback-on-failure --on-change-exec --on-change-signal --on-change-timeout --keep-previous --combined --count --request --show-chain --expires-within --as-user --json --status-file --metrics-file --metrics-format --max-fetch-age --min-endpoints' ;;
    purge) options+=' --attest-pins --status-file --metrics-file' ;;
    esac
    if [[ $cur == -* ]]; then
        _mtls_agent_words "$options"
        return
    fi
    case $command in
    '' | check-config | help) _mtls_agent_words "$commands" ;;
    inspect | attest) _mtls_agent_paths -f ;;
    esac
}
complete -F _mtls_agent mtls-agent
