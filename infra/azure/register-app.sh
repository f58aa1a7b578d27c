#!/usr/bin/env bash
# Registers the app in Entra ID so that Teams can sign users in, and writes the resulting settings.
# Needs the Azure CLI (az login), and the role Application Developer or higher. Running it again updates only
# what has changed; the client secret is created once.
#
#   register-app.sh HOST [--name NAME] [--out FILE] [--multi-tenant] [--no-secret] [--new-secret] [--call-records]
#
#   HOST             where the service will be, for instance pbx-teams.example.com
#   --name           name of the registration; default: PBX for Teams
#   --out            settings file to write; default: pbx-teams.env
#   --multi-tenant   members of other Microsoft tenants may use it, if the service's settings admit them
#   --no-secret      for a bot with a managed identity
#   --new-secret     creates another client secret; the old one stays valid until it is removed
#   --call-records   requests CallRecords.Read.All; an administrator has to consent
# Sources: learn.microsoft.com, "Configure your tab app in Microsoft Entra ID"; Microsoft Graph, "application resource".
set -euo pipefail

# The clients of Teams, Microsoft 365 and Outlook, whose users are not asked for consent.
CLIENTS=(
  1fec8e78-bce4-4aaf-ab1b-5451cc387264 5e3ce6c0-2b1f-4285-8d4b-75ee78787346
  4765445b-32c6-49b0-83e6-1d93765276ca 0ec893e0-5785-4de6-99da-4ed124e5296c
  d3590ed6-52b3-4102-aeff-aad2292ab01c bc59ab01-8403-45c6-8796-ac3ef710b3e3
  27922004-5251-4030-b22d-91ecd9a37ea4
)
GRAPH=00000003-0000-0000-c000-000000000000
CALL_RECORDS=45bbb07e-7321-4fd7-a8f6-3ff27e6a81c8

fail() {
  echo "register-app: $1" >&2
  exit 1
}

usage() {
  sed -n '6,15p' "$0" | sed 's/^# \{0,1\}//'
  exit "${1:-1}"
}

host="" name="PBX for Teams" out="pbx-teams.env" audience=AzureADMyOrg secret=once records=no
while [ $# -gt 0 ]; do
  case "$1" in
    --name) name="${2:?--name needs a value}"; shift ;;
    --out) out="${2:?--out needs a value}"; shift ;;
    --multi-tenant) audience=AzureADMultipleOrgs ;;
    --no-secret) secret=no ;;
    --new-secret) secret=new ;;
    --call-records) records=yes ;;
    -h | --help) usage 0 ;;
    -*) fail "unknown option $1; --help shows them" ;;
    *) [ -z "$host" ] || fail "one HOST alone, not $1 as well"; host="$1" ;;
  esac
  shift
done
[ -n "$host" ] || usage
[[ "$host" =~ ^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?$ ]] ||
  fail "HOST is a name like pbx-teams.example.com, in lower case, without https:// and without a path"
command -v az >/dev/null || fail "the Azure CLI is missing: https://learn.microsoft.com/cli/azure/install-azure-cli"
tenant=$(az account show --query tenantId --output tsv) || fail "not signed in: run 'az login'"

kept() {
  [ -f "$out" ] && sed -n "s/^PBX_TEAMS_$1=//p" "$out" | tail -n 1 || true
}

app_id=$(az ad app list --filter "displayName eq '$name'" --query "[0].appId" --output tsv)
if [ -z "$app_id" ]; then
  app_id=$(az ad app create --display-name "$name" --sign-in-audience "$audience" --query appId --output tsv)
  echo "Registered $name: $app_id"
else
  echo "Found $name: $app_id"
fi
object_id=$(az ad app show --id "$app_id" --query id --output tsv)
scope_id=$(az ad app show --id "$app_id" \
  --query "api.oauth2PermissionScopes[?value=='access_as_user'].id | [0]" --output tsv)
[ -n "$scope_id" ] || scope_id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr 'A-Z' 'a-z')

patch() {
  az rest --method PATCH --uri "https://graph.microsoft.com/v1.0/applications/$object_id" \
    --headers Content-Type=application/json --body "$1" >/dev/null
}

scope="{\"id\": \"$scope_id\", \"value\": \"access_as_user\", \"type\": \"User\", \"isEnabled\": true,
  \"adminConsentDisplayName\": \"Use PBX for Teams\",
  \"adminConsentDescription\": \"Lets Teams tell PBX for Teams who is signed in.\",
  \"userConsentDisplayName\": \"Use PBX for Teams\",
  \"userConsentDescription\": \"Lets Teams tell PBX for Teams who you are.\"}"
access="[]"
if [ "$records" = yes ]; then
  access="[{\"resourceAppId\": \"$GRAPH\", \"resourceAccess\": [{\"id\": \"$CALL_RECORDS\", \"type\": \"Role\"}]}]"
fi
# Claims for guests, verified addresses and directory roles; docs/trust.md says what they are used for.
claims=""
for claim in acct email verified_primary_email xms_edov; do
  claims+="${claims:+, }{\"name\": \"$claim\", \"essential\": false}"
done
patch "{\"signInAudience\": \"$audience\", \"identifierUris\": [\"api://$host/$app_id\"],
  \"requiredResourceAccess\": $access,
  \"optionalClaims\": {\"accessToken\": [$claims]},
  \"groupMembershipClaims\": \"DirectoryRole\",
  \"api\": {\"requestedAccessTokenVersion\": 2, \"oauth2PermissionScopes\": [$scope]}}"
# Clients can be authorised only after the scope exists.
authorized=""
for client in "${CLIENTS[@]}"; do
  authorized+="${authorized:+, }{\"appId\": \"$client\", \"delegatedPermissionIds\": [\"$scope_id\"]}"
done
patch "{\"api\": {\"preAuthorizedApplications\": [$authorized]}}"
# Creates the service principal in the app's own tenant, so that users can be signed in there.
az ad sp show --id "$app_id" >/dev/null 2>&1 || az ad sp create --id "$app_id" >/dev/null

password=$(kept APP_PASSWORD)
ends=$(sed -n 's/^# The client secret ends on //p' "$out" 2>/dev/null || true)
if [ "$secret" = new ] || { [ "$secret" = once ] && [ -z "$password" ]; }; then
  password=$(az ad app credential reset --id "$app_id" --append --display-name pbx-teams --years 1 \
    --query password --output tsv)
  ends=$(date -u -d '+1 year' +%F 2>/dev/null || date -u -v+1y +%F)
fi
teams_app_id=$(kept TEAMS_APP_ID)
[ -n "$teams_app_id" ] || teams_app_id=$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr 'A-Z' 'a-z')

umask 077
{
  echo "PBX_TEAMS_PUBLIC_URL=https://$host"
  echo "PBX_TEAMS_APP_ID=$app_id"
  echo "PBX_TEAMS_APP_TENANT_ID=$tenant"
  echo "PBX_TEAMS_TEAMS_APP_ID=$teams_app_id"
  [ "$secret" = no ] || echo "PBX_TEAMS_APP_PASSWORD=$password"
  [ "$secret" = no ] || [ -z "$ends" ] || echo "# The client secret ends on $ends"
} >"$out.new"
mv "$out.new" "$out"
echo "Wrote $out: keep it secret, it holds the client secret. It names the app; the service needs its other settings as well."
if [ "$secret" != no ] && [ -n "$ends" ]; then
  echo "The client secret ends on $ends: make the next one before with --new-secret."
fi
if [ "$records" = yes ]; then
  echo "An administrator has to consent: az ad app permission admin-consent --id $app_id"
fi
