package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

// The service's resources, through the URLs that `uses` puts into the
// environment. All of them answer plain HTTP.

var errGone = errors.New("no such object")

func get(ctx context.Context, key string) ([]byte, error) {
	return call(ctx, http.MethodGet, object(key), "", nil)
}

func put(ctx context.Context, key, contentType string, body []byte) error {
	_, err := call(ctx, http.MethodPut, object(key), contentType, body)
	return err
}

func remove(ctx context.Context, key string) error {
	_, err := call(ctx, http.MethodDelete, object(key), "", nil)
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// list returns the keys below a prefix, sorted, from the bucket's S3 listing.
func list(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for token := ""; ; {
		query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
		if token != "" {
			query.Set("continuation-token", token)
		}
		body, err := call(ctx, http.MethodGet, os.Getenv("BUCKET_PHOTOS_URL")+"?"+query.Encode(), "", nil)
		if err != nil {
			return nil, err
		}
		var page struct {
			Contents              []struct{ Key string }
			NextContinuationToken string
		}
		if err := xml.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, c := range page.Contents {
			keys = append(keys, c.Key)
		}
		if token = page.NextContinuationToken; token == "" {
			return keys, nil
		}
	}
}

func enqueue(ctx context.Context, j Job) error {
	return send(ctx, os.Getenv("QUEUE_RESIZE_URL"), j)
}

func publish(ctx context.Context, t Thumbnail) error {
	return send(ctx, os.Getenv("TOPIC_THUMBNAILS_URL"), t)
}

func send(ctx context.Context, target string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = call(ctx, http.MethodPost, target, "application/json", body)
	return err
}

func object(key string) string {
	return os.Getenv("BUCKET_PHOTOS_URL") + "/" + (&url.URL{Path: key}).EscapedPath()
}

// call returns the answer's body; 404 is errGone, other errors tell the answer.
func call(ctx context.Context, method, target, contentType string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s %s: %w", method, target, errGone)
	case res.StatusCode/100 != 2:
		return nil, fmt.Errorf("%s %s: %s: %s", method, target, res.Status, answer)
	}
	return answer, nil
}
