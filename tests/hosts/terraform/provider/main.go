// SPDX-License-Identifier: Apache-2.0

// The AWS provider's schema and nothing else: OpenTofu checks configurations against it and plans them with mocks, without
// the provider itself, which is too large to build here. It reads schema.json, which schema.py makes, beside the program.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attribute struct {
	Type      json.RawMessage `json:"type"`
	Required  bool            `json:"required"`
	Optional  bool            `json:"optional"`
	Computed  bool            `json:"computed"`
	WriteOnly bool            `json:"write_only"`
}

type nested struct {
	Nesting string `json:"nesting"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Block   block  `json:"block"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes"`
	Blocks     map[string]nested    `json:"blocks"`
}

var nestings = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
	"struct": tfprotov5.SchemaNestedBlockNestingModeSingle,
}

func (b block) schema() (*tfprotov5.SchemaBlock, error) {
	out := &tfprotov5.SchemaBlock{}
	for name, a := range b.Attributes {
		kind, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // the only reader of cty's JSON types
		if err != nil {
			return nil, err
		}
		out.Attributes = append(out.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Required: a.Required, Optional: a.Optional, Computed: a.Computed, WriteOnly: a.WriteOnly,
		})
	}
	for name, n := range b.Blocks {
		inner, err := n.Block.schema()
		if err != nil {
			return nil, err
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Nesting: nestings[n.Nesting], MinItems: n.Min, MaxItems: n.Max, Block: inner,
		})
	}
	return out, nil
}

func schemas(blocks map[string]block) (map[string]*tfprotov5.Schema, error) {
	out := map[string]*tfprotov5.Schema{}
	for name, b := range blocks {
		s, err := b.schema()
		if err != nil {
			return nil, err
		}
		out[name] = &tfprotov5.Schema{Block: s}
	}
	return out, nil
}

func read() (*tfprotov5.GetProviderSchemaResponse, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		return nil, err
	}
	var all struct {
		Provider  block            `json:"provider"`
		Resources map[string]block `json:"resources"`
		Data      map[string]block `json:"data"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	own, err := all.Provider.schema()
	if err != nil {
		return nil, err
	}
	resources, err := schemas(all.Resources)
	if err != nil {
		return nil, err
	}
	data, err := schemas(all.Data)
	if err != nil {
		return nil, err
	}
	return &tfprotov5.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true},
		Provider:           &tfprotov5.Schema{Block: own},
		ResourceSchemas:    resources,
		DataSourceSchemas:  data,
	}, nil
}

// Whatever is not below has no answer: OpenTofu asks nothing more to validate, and to plan what is mocked.
type provider struct {
	tfprotov5.ProviderServer
	schema *tfprotov5.GetProviderSchemaResponse
}

func (p provider) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	return &tfprotov5.GetMetadataResponse{}, nil
}

func (p provider) GetProviderSchema(
	context.Context, *tfprotov5.GetProviderSchemaRequest,
) (*tfprotov5.GetProviderSchemaResponse, error) {
	return p.schema, nil
}

func (p provider) GetResourceIdentitySchemas(
	context.Context, *tfprotov5.GetResourceIdentitySchemasRequest,
) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (p provider) PrepareProviderConfig(
	_ context.Context, r *tfprotov5.PrepareProviderConfigRequest,
) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (p provider) ValidateResourceTypeConfig(
	context.Context, *tfprotov5.ValidateResourceTypeConfigRequest,
) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (p provider) ValidateDataSourceConfig(
	context.Context, *tfprotov5.ValidateDataSourceConfigRequest,
) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

// A state of a mocked resource has its present form.
func (p provider) UpgradeResourceState(
	_ context.Context, r *tfprotov5.UpgradeResourceStateRequest,
) (*tfprotov5.UpgradeResourceStateResponse, error) {
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &tfprotov5.DynamicValue{JSON: r.RawState.JSON}}, nil
}

func (p provider) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func main() {
	schema, err := read()
	if err != nil {
		log.Fatal(err)
	}
	server := func() tfprotov5.ProviderServer { return provider{schema: schema} }
	if err := tf5server.Serve("registry.opentofu.org/hashicorp/aws", server); err != nil {
		log.Fatal(err)
	}
}
